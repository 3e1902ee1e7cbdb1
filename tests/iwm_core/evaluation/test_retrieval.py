import dataclasses

import pytest
import torch
from PIL import Image

from iwm_core.data import photometric
from iwm_core.errors import ConfigError
from iwm_core.evaluation import mrr
from iwm_core.evaluation.protocols import measured
from iwm_core.evaluation.retrieval import FILE, NEAREST, jittering, measure, only
from iwm_core.evaluation.subject import OnlyEncoder


def test_it_says_what_is_said_at_the_end_of_pretraining_and_more(small, subject):
    tested = subject(small, protocol="mrr")
    found = measured(measure, tested)
    with torch.no_grad():
        whole = mrr.measure(tested)
    assert whole.items() <= found.items()
    assert found["hit1"] <= found["hit2"] <= found["hit5"] <= found["hit10"] == 1
    assert {f"mrr_{name}" for name in jittering(tested)} <= set(found)


def test_one_operation_alone():
    q_KP = torch.rand(5, len(photometric.OPERATIONS)) + 2
    alone = only(q_KP, "contrast")
    column = list(photometric.OPERATIONS).index("contrast")
    assert torch.equal(alone[:, column], q_KP[:, column])
    rest = [at for at in range(q_KP.shape[1]) if at != column]
    assert torch.equal(alone[:, rest], photometric.identity(5)[:, rest])


def test_an_operation_that_never_acts_has_no_bank(small, subject):
    still = dataclasses.replace(small, photometric=dataclasses.replace(small.photometric, hue_max=0.0))
    assert jittering(subject(still)) == ["brightness", "contrast", "saturation"]


def test_pictures_have_a_row_for_each_image(small, subject, tmp_path):
    measured(measure, subject(small, protocol="mrr", pictures=tmp_path / "pictures"))
    with Image.open(tmp_path / "pictures" / FILE) as picture:
        across, down = 2 + min(NEAREST, small.evaluate.bank_size), small.evaluate.bank_images
        assert picture.size == (across * 17 + 1, down * 17 + 1)


def test_an_encoder_alone_is_refused(small, subject):
    tested = subject(small, protocol="mrr")
    with pytest.raises(ConfigError) as caught:
        measure(dataclasses.replace(tested, networks=OnlyEncoder(tested.encoder)))
    assert (caught.value.setting, caught.value.value) == ("evaluate.protocol", "mrr")
