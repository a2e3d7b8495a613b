"""Small sources in the layouts and under the names of the published data sets: {path: content}.

A path through an archive (`parts.zip/a.jpg`) puts the file into it, so `unpacked` gives the same source as folders.
"""

import functools
import io
import re
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

Files = dict[str, bytes]
ARCHIVE = re.compile(r"(.*?)\.(zip|tar\.gz)/(.+)")


@functools.cache
def jpeg(number: int) -> bytes:
    """A photograph of 8x8 pixels, another for each number below 256."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def unpacked(files: Files) -> Files:
    """The same files without their archives."""
    return {re.sub(r"\.(zip|tar\.gz)/", "/", path): data for path, data in files.items()}


def write(folder: Path, files: Files) -> Path:
    """Write a source; gives its folder."""
    archives: dict[Path, Files] = {}
    for path, data in files.items():
        inside = ARCHIVE.fullmatch(path)
        if inside:
            archives.setdefault(folder / f"{inside[1]}.{inside[2]}", {})[inside[3]] = data
        else:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
    for place, members in archives.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.suffix == ".zip":
            with zipfile.ZipFile(place, "w") as archive:
                for name, data in members.items():
                    archive.writestr(name, data)
        else:
            with tarfile.open(place, "w:gz") as tar:
                for name, data in members.items():
                    header = tarfile.TarInfo(name)
                    header.size = len(data)
                    tar.addfile(header, io.BytesIO(data))
    return folder


HAM10000_METADATA = """lesion_id,image_id,dx,dx_type,age,sex,localization
HAM_0000002,ISIC_0000003,mel,histo,80.0,male,scalp
HAM_0000001,ISIC_0000002,nv,follow_up,45.0,female,back
HAM_0000001,ISIC_0000001,nv,follow_up,45.0,female,back
HAM_0000003,ISIC_0000004,bkl,confocal,,unknown,unknown
HAM_0000004,ISIC_0000005,df,consensus,0.0,male,lower extremity
"""


def ham10000() -> Files:
    """As Harvard's Dataverse has it."""
    return {
        "HAM10000_images_part_1.zip/ISIC_0000001.jpg": jpeg(1),
        "HAM10000_images_part_1.zip/ISIC_0000002.jpg": jpeg(2),
        "HAM10000_images_part_1.zip/ISIC_0000003.jpg": jpeg(3),
        "HAM10000_images_part_2.zip/ISIC_0000004.jpg": jpeg(4),
        "HAM10000_images_part_2.zip/ISIC_0000005.jpg": jpeg(5),
        "HAM10000_metadata": HAM10000_METADATA.encode(),
    }


GROUND_TRUTH = """image,MEL,NV,BCC,AKIEC,BKL,DF,VASC
ISIC_0000001,0.0,1.0,0.0,0.0,0.0,0.0,0.0
ISIC_0000002,0.0,1.0,0.0,0.0,0.0,0.0,0.0
ISIC_0000003,1.0,0.0,0.0,0.0,0.0,0.0,0.0
ISIC_0000004,0.0,0.0,0.0,0.0,1.0,0.0,0.0
ISIC_0000005,0.0,0.0,0.0,0.0,0.0,1.0,0.0
"""
GROUPINGS = """image,lesion_id,diagnosis_confirm_type
ISIC_0000001,HAM_0000001,serial imaging showing no change
ISIC_0000002,HAM_0000001,serial imaging showing no change
ISIC_0000003,HAM_0000002,histopathology
ISIC_0000004,HAM_0000003,confocal microscopy with consensus dermoscopy
ISIC_0000005,HAM_0000004,single image expert consensus
"""
VALIDATION_TRUTH = """image,MEL,NV,BCC,AKIEC,BKL,DF,VASC
ISIC_0000011,0.0,0.0,0.0,0.0,0.0,0.0,1.0
ISIC_0000010,0.0,0.0,0.0,1.0,0.0,0.0,0.0
"""
TEST_TRUTH = """image,MEL,NV,BCC,AKIEC,BKL,DF,VASC
ISIC_0000020,0.0,0.0,1.0,0.0,0.0,0.0,0.0
"""
# The labels of the test part beside HAM10000_metadata, in its form.
TEST_METADATA = """"lesion_id"\t"image_id"\t"dx"\t"dx_type"\t"age"\t"sex"\t"localization"
"HAMTEST_0000001"\t"ISIC_0000020"\t"bcc"\t"histo"\t70.0\t"female"\t"face"
"""


def isic2018() -> Files:
    """The files of task 3 as the challenge has them."""
    files = {"ISIC2018_Task3_Training_LesionGroupings.csv": GROUPINGS.encode()}
    parts = {"Training": range(1, 6), "Validation": (10, 11), "Test": (20,)}
    truths = {"Training": GROUND_TRUTH, "Validation": VALIDATION_TRUTH, "Test": TEST_TRUTH}
    for part, numbers in parts.items():
        name, truth = f"ISIC2018_Task3_{part}_Input", f"ISIC2018_Task3_{part}_GroundTruth"
        files |= {f"{name}.zip/{name}/ISIC_{number:07d}.jpg": jpeg(number) for number in numbers}
        files |= {f"{name}.zip/{name}/{text}.txt": b"CC BY-NC" for text in ("LICENSE", "ATTRIBUTION")}
        files[f"{truth}.zip/{truth}/{truth}.csv"] = truths[part].encode()
    return files


def isic2016(task: str = "3") -> Files:
    """The files of task 3, or of 3B, whose photographs come with masks."""
    files = {
        f"ISBI2016_ISIC_Part{task}_Training_GroundTruth.csv": b"ISIC_0000002,malignant\nISIC_0000000,benign\n",
        f"ISBI2016_ISIC_Part{task}_Test_GroundTruth.csv": b"ISIC_0000003,0.0\r\nISIC_0000012,1.0\r\n",
    }
    for part, numbers in (("Training", (0, 2)), ("Test", (3, 12))):
        name = f"ISBI2016_ISIC_Part{task}_{part}_Data"
        for number in numbers:
            files[f"{name}.zip/{name}/ISIC_{number:07d}.jpg"] = jpeg(number)
            if task == "3B":
                files[f"{name}.zip/{name}/ISIC_{number:07d}_Segmentation.png"] = jpeg(100 + number)
    return files


def isic2019() -> Files:
    """Training and test part."""
    return {
        "ISIC_2019_Training_GroundTruth.csv": b"""image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK
ISIC_0000002_downsampled,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0
ISIC_0000001,0.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0
ISIC_0000003,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0
""",
        "ISIC_2019_Training_Metadata.csv": b"""image,age_approx,anatom_site_general,lesion_id,sex
ISIC_0000001,55.0,anterior torso,BCN_0000001,female
ISIC_0000002_downsampled,,,,
ISIC_0000003,60.0,head/neck,BCN_0000001,male
""",
        "ISIC_2019_Test_GroundTruth.csv": b"""image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK,score_weight,validation_weight
ISIC_0000011,0.0,0.0,0.0,1.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0
ISIC_0000012,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0,0.0
""",
        "ISIC_2019_Test_Metadata.csv": b"""image,age_approx,anatom_site_general,sex
ISIC_0000011,85,lower extremity,female
ISIC_0000012,,palms/soles,
""",
        "ISIC_2019_Training_Input.zip/ISIC_2019_Training_Input/ISIC_0000001.jpg": jpeg(1),
        "ISIC_2019_Training_Input.zip/ISIC_2019_Training_Input/ISIC_0000002_downsampled.jpg": jpeg(2),
        "ISIC_2019_Training_Input.zip/ISIC_2019_Training_Input/ISIC_0000003.jpg": jpeg(3),
        "ISIC_2019_Training_Input.zip/ISIC_2019_Training_Input/LICENSE.txt": b"CC BY-NC",
        "ISIC_2019_Test_Input.zip/ISIC_2019_Test_Input/ISIC_0000011.jpg": jpeg(11),
        "ISIC_2019_Test_Input.zip/ISIC_2019_Test_Input/ISIC_0000012.jpg": jpeg(12),
    }


def sd198() -> Files:
    """198 diseases with a photograph each; the first has two."""
    files = {f"sd-198.zip/sd-198/images/Disease_{number}/img.jpg": jpeg(number) for number in range(1, 199)}
    files["sd-198.zip/sd-198/images/Disease_1/img2.jpg"] = jpeg(200)
    return files | {"sd-198.zip/sd-198/classes.txt": b"1 Disease_1\n"}


DERM7PT_META = """case_num,diagnosis,seven_point_score,streaks,sex,clinic,derm,notes
1,basal cell carcinoma,0,absent,female,NEL/NEL025.JPG,NEL/Nel026.jpg,
2,blue nevus,1,absent,male,NEL/NEL027.JPG,NEL/Nel028.JPG,
3,melanosis,2,regular,male,NGL/Ngl001.jpg,NGL/Ngl002.jpg,
4,melanoma (in situ),5,irregular,female,NGL/Ngl003.jpg,NGL/Ngl004.jpg,"thin, flat"
"""


def derm7pt() -> Files:
    """As the authors' archive has it, in which some names differ in case from those in the table."""
    paths = ("NEL/NEL025.JPG", "NEL/Nel026.jpg", "NEL/NEL027.JPG", "NEL/Nel028.jpg", "NGL/Ngl001.jpg")
    paths += ("NGL/Ngl002.jpg", "NGL/NGL003.jpg", "NGL/NGL004.JPG")
    files = {f"release_v0.zip/release_v0/images/{path}": jpeg(number) for number, path in enumerate(paths)}
    return files | {
        "release_v0.zip/release_v0/meta/meta.csv": DERM7PT_META.encode(),
        "release_v0.zip/release_v0/meta/train_indexes.csv": b"indexes\n0\n2\n",
        "release_v0.zip/release_v0/meta/valid_indexes.csv": b"indexes\n3\n",
        "release_v0.zip/release_v0/meta/test_indexes.csv": b"indexes\n1\n",
    }


def cifar10() -> Files:
    """The binary version: two pictures per training file (classes 0 and 1, 2 and 3, ...), one to test (class 9)."""

    def row(label: int, value: int) -> bytes:
        return bytes([label]) + bytes([value]) * 1024 + bytes([value + 1]) * 1024 + bytes([value + 2]) * 1024

    folder = "cifar-10-binary.tar.gz/cifar-10-batches-bin"
    files = {
        f"{folder}/data_batch_{number}.bin": row(2 * number - 2, 10 * number) + row(2 * number - 1, 10 * number + 5)
        for number in range(1, 6)
    }
    return files | {f"{folder}/test_batch.bin": row(9, 200), f"{folder}/batches.meta.txt": b"airplane\n"}


def folder() -> Files:
    """Two classes."""
    return {"nv/a.jpg": jpeg(1), "nv/b.jpg": jpeg(2), "mel/c.jpg": jpeg(3)}


def csv() -> Files:
    """A table beside the photographs."""
    return {**folder(), "labels.csv": b"image,label\nnv/a.jpg,nv\nmel/c,mel\nb,\n"}
