"""Single measures against scikit-image, SciPy, and definitions written out anew."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, signal
from skimage.measure import shannon_entropy
from skimage.metrics import normalized_mutual_information, peak_signal_noise_ratio, structural_similarity
from skimage.transform import downscale_local_mean

from hkdnet_ros.metrics.fidelity import fidelity_metrics
from hkdnet_ros.metrics.fusion import fusion_metrics
from hkdnet_ros.metrics.structural import ssim


@pytest.fixture(scope="module")
def triple() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return smooth random textures, 8-bit full range, the fused one a mix of both with noise."""
    rng = np.random.default_rng(3)
    thermal, visible, noise = (ndimage.gaussian_filter(rng.normal(size=(190, 201)), sigma) for sigma in (4, 1.5, 1))
    fused = thermal / thermal.std() + visible / visible.std() + 0.3 * noise / noise.std()
    a, b, f = (np.rint(255 * (x - x.min()) / np.ptp(x)) for x in (thermal, visible, fused))
    return a, b, f


@pytest.fixture(scope="module")
def values(triple: tuple[np.ndarray, ...]) -> dict[str, float]:
    return fusion_metrics(*triple)


def test_entropy_and_mutual_information_agree_with_scikit_image(triple, values) -> None:
    thermal, visible, fused = triple
    assert values["EN"] == pytest.approx(shannon_entropy(fused))
    shared = normalised = 0.0
    for source in (thermal, visible):
        both = shannon_entropy(source) + shannon_entropy(fused)
        shared += both - both / normalized_mutual_information(source, fused, bins=256)
        normalised += 2 - 2 / normalized_mutual_information(source, fused, bins=256)
    assert values["MI"] == pytest.approx(shared)
    assert values["NMI"] == pytest.approx(normalised)


def test_contrast_is_that_of_the_definitions(triple, values) -> None:
    fused = triple[2]
    right, down = fused[:, 1:] - fused[:, :-1], fused[1:] - fused[:-1]
    assert values["SD"] == pytest.approx(np.sqrt(np.mean((fused - fused.mean()) ** 2)))
    assert values["SF"] == pytest.approx(np.sqrt(np.mean(right**2) + np.mean(down**2)))
    ramp = np.add.outer(3.0 * np.arange(40), 4.0 * np.arange(20))
    assert fusion_metrics(ramp, ramp, ramp, ["AG"])["AG"] == pytest.approx(np.sqrt((9 + 16) / 2))


def test_correlations_agree_with_numpy_and_psnr_with_scikit_image(triple, values) -> None:
    thermal, visible, fused = triple

    def corr(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.corrcoef(x.ravel(), y.ravel())[0, 1])

    assert values["CC"] == pytest.approx((corr(thermal, fused) + corr(visible, fused)) / 2)
    assert values["SCD"] == pytest.approx(corr(fused - visible, thermal) + corr(fused - thermal, visible))
    psnrs = [peak_signal_noise_ratio(source, fused, data_range=255) for source in (thermal, visible)]
    assert values["PSNR"] == pytest.approx(-10 * np.log10(np.mean([10 ** (-p / 10) for p in psnrs])))


def scikit_ssim(first: np.ndarray, second: np.ndarray) -> float:
    return structural_similarity(
        first, second, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )


def test_ssim_agrees_with_scikit_image(triple, values) -> None:
    thermal, visible, fused = triple
    assert ssim(thermal, fused) == pytest.approx(scikit_ssim(thermal, fused))
    assert values["SSIM"] == pytest.approx((scikit_ssim(thermal, fused) + scikit_ssim(visible, fused)) / 2)


def test_ms_ssim_agrees_with_the_definition(triple, values) -> None:
    def contrast_and_luminance(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
        window = np.outer(taps, taps) / taps.sum() ** 2
        mx, my, xx, yy, xy = (signal.convolve2d(z, window, "valid") for z in (x, y, x * x, y * y, x * y))
        contrast = (2 * (xy - mx * my) + 58.5225) / (xx - mx**2 + yy - my**2 + 58.5225)
        return contrast, (2 * mx * my + 6.5025) / (mx**2 + my**2 + 6.5025)

    expected = 0.0
    for x, y in ((triple[0], triple[2]), (triple[1], triple[2])):
        product = 1.0
        for weight in (0.0448, 0.2856, 0.3001, 0.2363):
            product *= contrast_and_luminance(x, y)[0].mean() ** weight
            rows, columns = (n // 2 * 2 for n in x.shape)
            x, y = (downscale_local_mean(z[:rows, :columns], (2, 2)) for z in (x, y))
        contrast, luminance = contrast_and_luminance(x, y)
        expected += product * (contrast * luminance).mean() ** 0.1333 / 2
    assert values["MSSSIM"] == pytest.approx(expected)


def test_vif_agrees_with_the_definition(triple, values) -> None:
    expected = 0.0
    for reference, distorted in ((triple[0], triple[2]), (triple[1], triple[2])):
        passed = present = 0.0
        for scale, size in enumerate((17, 9, 5, 3)):
            taps = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * (size / 5) ** 2))
            window = np.outer(taps, taps) / taps.sum() ** 2
            if scale:
                reference, distorted = (signal.convolve2d(z, window, "valid")[::2, ::2] for z in (reference, distorted))
            r, d = reference, distorted
            mr, md, rr, dd, rd = (signal.convolve2d(z, window, "valid") for z in (r, d, r * r, d * d, r * d))
            gain = np.maximum((rd - mr * md) / (rr - mr**2), 0)
            rest = (dd - md**2) - gain * (rd - mr * md)
            passed += np.log2(1 + gain**2 * (rr - mr**2) / (rest + 2)).sum()
            present += np.log2(1 + (rr - mr**2) / 2).sum()
        expected += passed / present
    assert values["VIFp"] == pytest.approx(expected)


def edges(image: np.ndarray, mode: str) -> tuple[np.ndarray, np.ndarray]:
    """Return Sobel strength and orientation by SciPy; the epsilon turns flat columns a quarter upwards."""
    along_x, along_y = ndimage.sobel(image, 1, mode=mode), ndimage.sobel(image, 0, mode=mode)
    with np.errstate(divide="ignore", invalid="ignore"):
        angle = np.where(along_x == 0, np.pi / 2, np.arctan(-along_y / along_x))
    return np.hypot(along_x, along_y), angle


def ratio(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.minimum(first, second) / np.maximum(np.maximum(first, second), 1e-12)


def test_qabf_agrees_with_the_definition(triple, values) -> None:
    strength_f, angle_f = edges(triple[2], "constant")
    kept = weights = 0.0
    for source in triple[:2]:
        strength, angle = edges(source, "constant")
        by_strength = 0.9994 / (1 + np.exp(-15 * (ratio(strength, strength_f) - 0.5)))
        by_angle = 0.9879 / (1 + np.exp(-22 * (1 - np.abs(angle - angle_f) / (np.pi / 2) - 0.8)))
        kept += (by_strength * by_angle * strength).sum()
        weights += strength.sum()
    assert values["Qabf"] == pytest.approx(kept / weights)


def test_nabf_agrees_with_the_definition(triple, values) -> None:
    (strength_a, angle_a), (strength_b, angle_b), (strength_f, angle_f) = (edges(x, "mirror") for x in triple)
    weights = [np.where(s / 8 >= 2, (s / 8) ** 1.5, 0.001) for s in (strength_a, strength_b)]
    lost = 0.0
    for strength, angle, weight in ((strength_a, angle_a, weights[0]), (strength_b, angle_b, weights[1])):
        turn = np.abs(angle - angle_f)
        turn = np.minimum(turn, np.pi - turn) / (np.pi / 2)
        kept = 0.9999 / (1 + np.exp(-19 * (ratio(strength, strength_f) - 0.5)))
        kept *= 0.9995 / (1 + np.exp(-22 * (1 - turn - 0.5)))
        artefact = strength_f > np.maximum(strength_a, strength_b)
        lost += ((1 - np.sqrt(kept)) * weight * artefact).sum()
    assert values["Nabf"] == pytest.approx(lost / np.sum(weights))
    assert values["Nabf"] > 0.001


def test_fidelity_to_the_teacher_agrees_with_scikit_image(triple) -> None:
    teacher, output = triple[2], np.clip(triple[2] + np.random.default_rng(1).normal(0, 4, triple[2].shape), 0, 255)
    saved = np.rint(output)
    fidelity = fidelity_metrics(output, teacher)
    assert fidelity["SR_PSNR"] == pytest.approx(peak_signal_noise_ratio(teacher, saved, data_range=255))
    assert fidelity["SR_SSIM"] == pytest.approx(scikit_ssim(teacher, saved))
    assert fidelity_metrics(teacher, teacher) == {"SR_PSNR": np.inf, "SR_SSIM": pytest.approx(1)}
