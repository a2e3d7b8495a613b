"""SD-198: 198 class folders, no more and no fewer."""

import pytest

from skinjax.core.errors import UserError
from skinjax.data.acquire.builders.folder import read_sd198

from .fabricated import jpeg, sd198, unpacked


@pytest.mark.parametrize("form", [sd198, lambda: unpacked(sd198())], ids=["archive", "folders"])
def test_a_folder_per_disease(form, read):
    listing = read(read_sd198, form())
    assert len(listing.classes) == 198
    assert listing.classes[:3] == ("Disease_1", "Disease_2", "Disease_3")
    assert listing.classes[-1] == "Disease_198"
    assert listing.columns["image_id"].tolist()[:3] == ["Disease_1/img", "Disease_1/img2", "Disease_10/img"]
    assert listing.columns["label"].tolist()[:3] == [0, 0, 9]
    assert len(listing.photographs) == 199
    assert listing.photographs[1].read() == jpeg(200)
    assert "split" not in listing.columns


def test_an_incomplete_copy_is_refused(read):
    files = {path: data for path, data in sd198().items() if "Disease_7/" not in path}
    with pytest.raises(UserError, match=r"has 197 class folders and SD-198 has 198: complete it, or .* prepare folder"):
        read(read_sd198, files)
