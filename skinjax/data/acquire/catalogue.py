"""The data sets that skinjax can prepare: what each is, under which licence, whom to cite, and what to download."""

from typing import NamedTuple


class About(NamedTuple):
    """What a person should know of a data set; `download` completes the sentence "to prepare it, ..."."""

    title: str
    download: str
    size: str = "any"
    licence: str = "yours"
    citation: str = ""
    homepage: str = ""


HAM10000 = (
    "P. Tschandl, C. Rosendahl, H. Kittler. The HAM10000 dataset, a large collection of multi-source dermatoscopic "
    "images of common pigmented skin lesions. Scientific Data 5, 180161 (2018). doi:10.1038/sdata.2018.161"
)
DERM7PT = About(
    title="derm7pt, dermoscopic photographs in the six classes of paper 003",
    size="987 photographs, 6 classes (24 of the 1,011 cases are in none of them)",
    licence="academic use, see https://derm.cs.sfu.ca",
    citation="J. Kawahara, S. Daneshvar, G. Argenziano, G. Hamarneh. Seven-Point Checklist and Skin Lesion "
    "Classification using Multitask Multimodal Neural Nets. IEEE JBHI 23(2), 538-546 (2019). "
    "doi:10.1109/JBHI.2018.2824327",
    homepage="https://derm.cs.sfu.ca",
    download="download release_v0 of derm7pt (meta/meta.csv, meta/*_indexes.csv, images/) from https://derm.cs.sfu.ca",
)
CATALOGUE = {
    "ham10000": About(
        title="HAM10000, dermoscopic images of common pigmented skin lesions",
        size="10,015 photographs of 7,470 lesions, 7 classes",
        licence="CC BY-NC 4.0",
        citation=HAM10000,
        homepage="https://doi.org/10.7910/DVN/DBW86T",
        download="download HAM10000_images_part_1.zip, HAM10000_images_part_2.zip and HAM10000_metadata of "
        "doi:10.7910/DVN/DBW86T (or the training input, ground truth and lesion groupings of ISIC 2018 task 3) into a "
        "folder",
    ),
    "isic2018": About(
        title="ISIC 2018 task 3: HAM10000 with the challenge's validation and test photographs",
        size="10,015 + 193 + 1,511 photographs, 7 classes",
        licence="CC BY-NC 4.0",
        citation="N. Codella et al. Skin Lesion Analysis Toward Melanoma Detection 2018: A Challenge Hosted by the "
        f"International Skin Imaging Collaboration (ISIC). arXiv:1902.03368 (2019); {HAM10000}",
        homepage="https://challenge.isic-archive.com/data/#2018",
        download="download input and ground truth of task 3 (training, validation, test) and the training lesion "
        "groupings of ISIC 2018 into a folder",
    ),
    "isic2016": About(
        title="ISIC 2016 task 3, benign against malignant",
        size="900 + 379 photographs, 2 classes",
        licence="CC0",
        citation="D. Gutman et al. Skin Lesion Analysis toward Melanoma Detection: A Challenge at the International "
        "Symposium on Biomedical Imaging (ISBI) 2016. arXiv:1605.01397 (2016)",
        homepage="https://challenge.isic-archive.com/data/#2016",
        download="download training and test data and ground truth of task 3 (ISBI2016_ISIC_Part3_...) of ISIC 2016 "
        "into a folder",
    ),
    "isic2019": About(
        title="ISIC 2019: HAM10000, BCN20000 and MSK, eight diagnoses",
        size="25,331 + 8,238 photographs, 8 classes",
        licence="CC BY-NC 4.0",
        citation="M. Combalia et al. BCN20000: Dermoscopic Lesions in the Wild. arXiv:1908.02288 (2019); "
        "N. Codella et al. Skin Lesion Analysis Toward Melanoma Detection: A Challenge at the 2017 International "
        f"Symposium on Biomedical Imaging. arXiv:1710.05006 (2017); {HAM10000}",
        homepage="https://challenge.isic-archive.com/data/#2019",
        download="download ISIC_2019_Training_Input.zip, ..._GroundTruth.csv and ..._Metadata.csv (and those of the "
        "test part) of ISIC 2019 into a folder",
    ),
    "sd198": About(
        title="SD-198, clinical photographs of 198 skin diseases",
        size="6,584 photographs, 198 classes",
        licence="research and academic use, on request from its authors",
        citation="X. Sun, J. Yang, M. Sun, K. Wang. A Benchmark for Automatic Visual Classification of Clinical Skin "
        "Disease Images. ECCV 2016. doi:10.1007/978-3-319-46466-4_13",
        homepage="http://xiaopingwu.cn/assets/projects/sd-198/",
        download="ask its authors for SD-198 (images/ with a folder per class) by the form on "
        "http://xiaopingwu.cn/assets/projects/sd-198/",
    ),
    "derm7pt": DERM7PT,
    "derm7pt_diagnoses": DERM7PT._replace(
        title="derm7pt, dermoscopic photographs in the 20 original diagnoses", size="1,011 photographs, 20 classes"
    ),
    "cifar10": About(
        title="CIFAR-10, natural 32x32 images (paper 002's baseline)",
        size="50,000 + 10,000 images, 10 classes",
        licence="none stated by its authors",
        citation="A. Krizhevsky. Learning Multiple Layers of Features from Tiny Images. Technical report, University "
        "of Toronto (2009)",
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        download="download cifar-10-binary.tar.gz, the binary version, from https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
    "folder": About(
        title="your own photographs, one folder per class, or train/validation/test and then classes",
        download="put the photographs of each class into a folder of its own",
    ),
    "csv": About(
        title="your own photographs, listed in a CSV: image,label[,split,group,weight,...]",
        download="write a CSV with the columns image and label beside the photographs",
    ),
}
# Kinds of data set that are the user's, each prepared under a name that the user gives.
USER_DATA = ("folder", "csv")
