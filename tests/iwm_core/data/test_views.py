from dataclasses import replace

import pytest
import torch

from iwm_core.config import PhotometricConfig, TrialConfig
from iwm_core.data import photometric, views
from iwm_core.data.views import clean, make_views, normalise, to_unit
from iwm_core.randomness import uniform

CONFIG = TrialConfig()
STILL = PhotometricConfig(strength=0, grayscale_p=0, blur_p=0, solarize_p=0)


@pytest.fixture
def image_BCHW():
    return torch.randint(256, (6, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_views_are_a_function_of_seed_and_step(image_BCHW):
    first, again = make_views(image_BCHW, CONFIG, 5), make_views(image_BCHW, CONFIG, 5)
    assert torch.equal(first.x_BCHW, again.x_BCHW)
    assert torch.equal(first.y_BCHW, again.y_BCHW)
    assert torch.equal(first.a_BA, again.a_BA)
    assert not torch.equal(first.a_BA, make_views(image_BCHW, CONFIG, 6).a_BA)
    assert not torch.equal(first.a_BA, make_views(image_BCHW, replace(CONFIG, seed=1), 5).a_BA)


def test_the_views_are_transformed_as_their_action_says(image_BCHW):
    made = make_views(image_BCHW, CONFIG, 2)
    p_BP, q_BP = (
        photometric.draw(CONFIG.photometric, uniform(0, view, 2, (6, photometric.UNIFORMS)), view=view)
        for view in ("source", "target")
    )
    for got, params in ((made.x_BCHW, p_BP), (made.y_BCHW, q_BP)):
        expected = normalise(photometric.apply(to_unit(image_BCHW), params, config=CONFIG.photometric))
        torch.testing.assert_close(got, expected)
    assert torch.equal(made.a_BA, photometric.action(p_BP, q_BP, config=CONFIG.photometric))


def test_without_any_transformation_both_views_are_the_clean_image(image_BCHW):
    made = make_views(image_BCHW, replace(CONFIG, photometric=STILL), 0)
    assert torch.equal(made.x_BCHW, clean(image_BCHW))
    assert torch.equal(made.y_BCHW, clean(image_BCHW))
    assert not made.a_BA.any()


def test_normalise_is_imagenets_and_leaves_its_argument_alone():
    grey = torch.tensor(views.MEAN).view(1, 3, 1, 1).repeat(2, 1, 4, 4)
    kept = grey.clone()
    assert not normalise(grey).any()
    assert torch.equal(grey, kept)
    white = normalise(torch.ones(1, 3, 1, 1)).flatten()
    torch.testing.assert_close(white, (1 - torch.tensor(views.MEAN)) / torch.tensor(views.STD))
