from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from hkdnet_ros.metrics.correlation import correlation_metrics
from hkdnet_ros.metrics.gradient import nabf, qabf
from hkdnet_ros.metrics.visual import vif as reference_vif
from hkdnet_ros.training.losses import (
    artefact_loss,
    checkerboard_loss,
    coarse_ssim_loss,
    contrast_loss,
    difference_loss,
    edge_loss,
    edge_preservation,
    false_edge_loss,
    gaussian_filter,
    gradient_loss,
    information_loss,
    intensity_loss,
    intensity_target,
    signed_gradient,
    ssim_loss,
    ssim_map,
    thermal_saliency,
    tone_loss,
    tone_target,
    vif,
    vif_loss,
    warmth_loss,
)

LOSSES = (
    intensity_loss,
    gradient_loss,
    ssim_loss,
    vif_loss,
    edge_loss,
    difference_loss,
    artefact_loss,
    false_edge_loss,
    information_loss,
    contrast_loss,
    coarse_ssim_loss,
    warmth_loss,
)


def scenes(count=2, size=(96, 88), seed=0):
    """Smooth random images with edges, (count, 1, H, W)."""
    random = np.random.default_rng(seed)
    images = []
    for _ in range(count):
        image = cv2.GaussianBlur(random.random(size, dtype=np.float32), (0, 0), 3)
        image = (image - image.min()) / (image.max() - image.min())
        cv2.circle(image, (int(random.integers(20, 60)), 40), 12, float(random.random()), -1)
        images.append(image + 0.05 * random.random(size, dtype=np.float32))
    return torch.from_numpy(np.stack(images)).clamp(0, 1)[:, None]


def test_gaussian_filter_equals_opencv_inside_the_image():
    image = scenes(1)
    for size, sigma, step in ((11, 1.5, 1), (9, 1.8, 2)):
        kernel = cv2.getGaussianKernel(size, sigma)
        full = cv2.sepFilter2D(image[0, 0].numpy(), cv2.CV_32F, kernel, kernel)
        half = size // 2
        expected = full[half:-half:step, half:-half:step]
        np.testing.assert_allclose(gaussian_filter(image, size, sigma, step=step)[0, 0], expected, atol=1e-5)


def test_signed_gradient_equals_sobel():
    image = scenes(1)
    got = signed_gradient(image)[0].numpy()
    for index, (dx, dy) in enumerate(((1, 0), (0, 1))):
        expected = cv2.Sobel(image[0, 0].numpy(), cv2.CV_32F, dx, dy, scale=1 / 8)[1:-1, 1:-1]
        np.testing.assert_allclose(got[index], expected, atol=1e-6)


def test_ssim_equals_scikit_image():
    a, b = scenes()
    _, full = structural_similarity(
        a[0].numpy(), b[0].numpy(), data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        full=True,
    )  # fmt: skip
    np.testing.assert_allclose(ssim_map(a[None], b[None])[0, 0], full[5:-5, 5:-5], atol=1e-4)


def test_vif_equals_the_measure():
    a, b = scenes()
    noisy = (0.8 * a + 0.2 * b).clamp(0, 1)
    (expected,) = reference_vif((255 * a[0].double().numpy(),), 255 * noisy[0].double().numpy())
    assert float(vif(a[None], noisy[None])) == pytest.approx(expected, abs=5e-3)


def gray_levels(image):
    return 255 * image[0, 0].double().numpy()


def test_edge_preservation_is_near_the_measure():
    """Not equal: to the measure an inverted edge is kept, and it has zeros outside the image."""
    thermal, visible = scenes(2)[:1], scenes(2)[1:]
    blurred = gaussian_filter(torch.nn.functional.pad(visible, (5, 5, 5, 5), "reflect"), 11, 2.0)
    for fused in (thermal, torch.maximum(thermal, visible), blurred):
        expected = qabf(*(gray_levels(image) for image in (thermal, visible, fused)))
        assert 1 - float(edge_loss(fused, thermal, visible)) == pytest.approx(expected, abs=0.1)


def test_the_false_edge_loss_orders_images_as_the_measure_does():
    """Not equal: the measure's step is hard, its orientations have no sign, weak edges weigh less in it."""
    thermal, visible = scenes(2)[:1], scenes(2)[1:]
    noise = torch.randn(thermal.shape, generator=torch.Generator().manual_seed(0))
    brighter, mean = torch.maximum(thermal, visible), (thermal + visible) / 2
    images = [mean, brighter, 1.4 * brighter, brighter + 0.2 * noise]
    measured = [nabf(*(gray_levels(image) for image in (thermal, visible, fused))) for fused in images]
    lost = [float(false_edge_loss(fused, thermal, visible)) for fused in images]
    assert np.argsort(lost).tolist() == np.argsort(measured).tolist()
    assert lost == pytest.approx(measured, abs=0.16)


@pytest.mark.parametrize("pattern", [(1, 0), (0, 1), (1, 1)])
def test_a_checkerboard_costs_its_amplitude_and_gradients_do_not_see_it(pattern):
    thermal, visible = scenes(2)[:1], scenes(2)[1:]
    flat = torch.full_like(visible, 0.8)
    rows, columns = torch.meshgrid(torch.arange(flat.shape[2]), torch.arange(flat.shape[3]), indexing="ij")
    board = 0.02 * (-1.0) ** (pattern[0] * rows + pattern[1] * columns)
    assert float(checkerboard_loss(flat + board, torch.zeros_like(flat), flat)) == pytest.approx(0.02, rel=1e-3)
    assert float(artefact_loss(flat + board, flat, flat)) < 2e-3  # the border alone
    assert float(checkerboard_loss(flat + board, thermal, flat + board)) == 0  # what a source has is no artefact
    maximum = torch.maximum(thermal, visible)
    assert float(checkerboard_loss(maximum, thermal, visible)) < float(
        checkerboard_loss(maximum + board, thermal, visible)
    )


def test_an_inverted_edge_counts_as_lost():
    image = scenes(1)
    share, _ = edge_preservation(image, 1 - image)
    assert float(share.max()) < 1e-3


def test_difference_loss_equals_the_correlations_of_differences():
    thermal, visible = scenes(2)[:1], scenes(2)[1:]
    fused = 0.7 * thermal + 0.4 * visible.square()
    expected = correlation_metrics(*(gray_levels(image) for image in (thermal, visible, fused)))["SCD"]
    assert float(difference_loss(fused, thermal, visible)) == pytest.approx(1 - expected / 2, abs=1e-4)


def test_artefacts_are_gradients_beyond_both_sources():
    thermal, visible = scenes(2)[:1], scenes(2)[1:]
    for fused in (thermal, visible, (thermal + visible) / 2):
        assert float(artefact_loss(fused, thermal, visible)) < 1e-6
    assert float(artefact_loss(1.5 * thermal, thermal, 0 * visible)) > 1e-3


def test_information_loss_equals_the_measures_of_hard_histograms():
    """Where every gray level is that of a bin, soft histograms are hard ones."""
    random = np.random.default_rng(1)
    thermal = random.integers(0, 32, (80, 80))
    visible = np.sort(random.integers(0, 32, (80, 80)), 0)
    fused = np.maximum(thermal // 2, visible)
    told = entropy = 0.0
    for source in (thermal, visible):
        joint = np.histogram2d(source[::2, ::2].ravel(), fused[::2, ::2].ravel(), 32, [[0, 32], [0, 32]])[0] / 1600
        expected = joint.sum(1)[:, None] * joint.sum(0)
        seen = joint > 0
        told += (joint[seen] * np.log(joint[seen] / expected[seen])).sum()
        marginal = joint.sum(1)[joint.sum(1) > 0]
        entropy -= (marginal * np.log(marginal)).sum()
    images = [torch.from_numpy(image).float()[None, None] / 31 for image in (fused, thermal, visible)]
    assert float(information_loss(*images)) == pytest.approx(1 - told / entropy, abs=1e-3)


def test_losses_vanish_where_both_sources_are_the_fused_image():
    image = scenes(1)
    for loss in (gradient_loss, ssim_loss, vif_loss, artefact_loss):
        assert abs(float(loss(image, image, image))) < 5e-3, loss.__name__


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss is not artefact_loss])
def test_losses_lead_a_free_image_from_noise_towards_the_sources(loss):
    thermal, visible = scenes(2)[:1], scenes(2)[1:]
    free = torch.full_like(thermal, 0.5).add(0.01 * torch.randn(thermal.shape)).requires_grad_(True)
    optimizer = torch.optim.Adam([free], lr=0.02)
    first = float(loss(free, thermal, visible))
    for _ in range(25):
        optimizer.zero_grad()
        loss(free, thermal, visible).backward()
        assert bool(free.grad.isfinite().all())
        optimizer.step()
    assert float(loss(free, thermal, visible)) < 0.8 * first


def test_losses_are_finite_on_flat_images():
    flat = torch.full((1, 1, 64, 64), 0.5)
    fused = flat.clone().requires_grad_(True)
    sum(loss(fused, flat, flat) for loss in (*LOSSES, checkerboard_loss)).backward()
    assert bool(fused.grad.isfinite().all())


def warm_person(background: float):
    thermal = torch.full((1, 1, 96, 96), background)
    thermal[:, :, 30:60, 40:52] = 0.8
    return thermal


def test_saliency_marks_a_warm_person_and_not_a_warm_plain():
    saliency = thermal_saliency(warm_person(0.2))
    assert float(saliency[0, 0, 45, 46]) > 0.9
    assert float(saliency[0, 0, 5, 5]) == 0.0
    assert float(thermal_saliency(torch.full((1, 1, 96, 96), 0.9)).max()) == 0.0


def test_the_contrast_loss_is_what_a_salient_person_lacks_however_small_and_at_any_level():
    thermal, visible = warm_person(0.2), torch.full((1, 1, 96, 96), 0.85)
    target = intensity_target(thermal, visible)
    assert float(contrast_loss(target, thermal, visible)) < 1e-6
    assert float(contrast_loss(target - 0.1, thermal, visible)) < 1e-6
    lost = float(contrast_loss(visible, thermal, visible))
    assert lost > 0.03
    far = [torch.nn.functional.pad(image, (64, 64, 64, 64), "replicate") for image in (visible, thermal, visible)]
    assert float(contrast_loss(*far)) > 0.8 * lost  # a mean over all pixels would be a fifth
    assert float(contrast_loss(visible, torch.full_like(thermal, 0.2), visible)) == 0.0


@pytest.mark.parametrize("clothing", [0.1, 0.85])
def test_a_warm_person_stands_out_of_bright_ground_in_the_target(clothing):
    """The maximum alone would hide the person: 0.8 in front of 0.85, or 0.85 everywhere."""
    thermal, visible = warm_person(0.2), torch.full((1, 1, 96, 96), 0.85)
    visible[:, :, 30:60, 40:52] = clothing
    target = intensity_target(thermal, visible)
    assert float(target[0, 0, 45, 46] - target[0, 0, 5, 5]) > 0.05


def test_the_target_is_the_brighter_source_where_nothing_glares_or_is_warm():
    thermal, visible = torch.full((1, 1, 96, 96), 0.2), torch.full((1, 1, 96, 96), 0.4)
    torch.testing.assert_close(intensity_target(thermal, visible), torch.full_like(visible, 0.39))


def test_the_gradient_wanted_is_the_stronger_with_its_sign():
    ramp = torch.linspace(0, 1, 32).repeat(32, 1)[None, None]
    weak, strong = 0.3 * ramp, 1 - ramp
    assert float(gradient_loss(strong, weak, strong)) < 1e-6
    assert float(gradient_loss(ramp, weak, strong)) > 0.01


def halved(image, factor):
    """Return (H, W) float64 as means over ``factor`` x ``factor`` pixels."""
    height, width = (side // factor for side in image.shape)
    return image.reshape(height, factor, width, factor).mean((1, 3))


def test_the_coarse_ssim_loss_agrees_with_scikit_image_on_means_of_pixels():
    fused, thermal, visible = (scenes(1, seed=seed) for seed in (1, 2, 3))
    values = []
    for factor in (2, 4):
        f, *sources = (halved(image[0, 0].double().numpy(), factor) for image in (fused, thermal, visible))
        for source in sources:
            similarity = structural_similarity(
                source, f, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
            )[1]
            values.append(similarity[5:-5, 5:-5].mean())
    assert float(coarse_ssim_loss(fused, thermal, visible)) == pytest.approx(1 - np.mean(values), abs=1e-4)


def test_a_scale_that_holds_no_window_is_left_out():
    fused, thermal, visible = (scenes(1, (64, 64), seed)[..., :30, :30] for seed in (1, 2, 3))
    half = [torch.nn.functional.avg_pool2d(image, 2) for image in (fused, thermal, visible)]
    assert float(coarse_ssim_loss(fused, thermal, visible)) == pytest.approx(float(ssim_loss(*half)), abs=1e-6)


def test_what_is_warm_agrees_with_thermal_by_blocks_whatever_the_pixels_do():
    thermal, visible = warm_person(0.6), torch.full((1, 1, 96, 96), 0.4)
    target = intensity_target(thermal, visible)
    dots = 0.05 * (1 - 2 * ((torch.arange(96)[:, None] + torch.arange(96)) % 2))
    assert float(warmth_loss(target + dots, thermal, visible)) < 1e-6
    assert float(warmth_loss(visible, thermal, visible)) > 0.1
    assert float(warmth_loss(visible, torch.full_like(thermal, 0.2), visible)) == 0.0


def test_the_tone_wanted_is_visible_with_thermals_excess_added():
    """Where nothing is warm and visible is not dark: two fifths of the excess, up or down."""
    visible, level = torch.full((1, 1, 96, 96), 0.5), torch.full((1, 1, 1, 1), 0.3)
    for thermal, wanted in ((0.3, 0.5), (0.4, 0.54), (0.2, 0.46)):
        torch.testing.assert_close(
            tone_target(torch.full_like(visible, thermal), visible, level), torch.full_like(visible, wanted)
        )


def test_thermals_excess_counts_twice_in_the_dark_and_its_lack_does_not():
    black, level = torch.zeros(1, 1, 96, 96), torch.full((1, 1, 1, 1), 0.3)
    assert float(tone_target(torch.full_like(black, 0.4), black, level)[0, 0, 50, 50]) == pytest.approx(0.08)
    dim = torch.full_like(black, 0.1)
    assert float(tone_target(torch.full_like(black, 0.2), dim, level)[0, 0, 50, 50]) == pytest.approx(0.06)


def test_the_tone_loss_is_blind_to_what_blocks_average_out():
    thermal, visible = scenes(1, seed=1), scenes(1, seed=2)
    level = thermal.mean((1, 2, 3), keepdim=True)
    target = tone_target(thermal, visible, level)
    dots = 0.05 * (1 - 2 * ((torch.arange(96)[:, None] + torch.arange(88)) % 2))
    assert float(tone_loss(target + dots, thermal, visible, level)) < 1e-6
    assert float(tone_loss(target + 0.1, thermal, visible, level)) == pytest.approx(0.1, abs=1e-5)
