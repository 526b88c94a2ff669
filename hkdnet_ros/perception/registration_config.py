"""How the cameras are registered: the settings, and what their files say."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigError
from ..geometry.calibration import PairCalibration
from ..geometry.calibration_files import load_calibration, load_camera_info
from ..geometry.homography import check_homography
from ..geometry.projection import check_lens, rectified_model
from ..geometry.rigid_transform import RigidTransform
from ..images.camera_model import CameraModel
from ..images.frames import THERMAL, VISIBLE
from ..inference.sizes import SMALLEST
from ..options import check_options, option

# What mode may be.
NONE, HOMOGRAPHY, RECTIFY, DEPTH = "none", "homography", "rectify", "depth"

# What border may be.
REFERENCE, CROP, KEEP = "reference", "crop", "keep"

NO_HOMOGRAPHY = (0.0,) * 9


@dataclass(frozen=True, slots=True)
class RegistrationConfig:
    """How the two images come to show the same place at the same pixel."""

    mode: str = option(
        NONE,
        "With none both images are taken to show one field of view; homography registers by one, rectify by lenses, "
        "pose and a nominal distance, depth by those and a depth image.",
        choices=(NONE, HOMOGRAPHY, RECTIFY, DEPTH),
    )
    reference: str = option(
        VISIBLE,
        "The fused image has view, stamp, frame and calibration of this camera.",
        choices=(VISIBLE, THERMAL),
    )
    border: str = option(
        REFERENCE,
        "Where one camera sees nothing, reference shows the reference camera's image alone, crop cuts the output to "
        "what both see, and keep fuses with black.",
        choices=(REFERENCE, CROP, KEEP),
        live=True,
    )
    distance: float = option(
        10.0,
        "Registered by rectify is what is in a plane across the reference camera's axis at this distance, and by "
        "depth what has no depth.",
        unit="m",
        low=0.1,
        high=100000.0,
        live=True,
    )
    calibration: str = option(
        "", "This YAML file, ours or kalibr's camchain, has the calibration of both cameras (docs/registration.md)."
    )
    kalibr_thermal: str = option("cam0", "This camera of a kalibr camchain is the thermal one.")
    kalibr_visible: str = option("cam1", "This camera of a kalibr camchain is the visible one.")
    thermal_camera_info: str = option(
        "", "This camera_info YAML has the thermal camera's lens; else the calibration has it, else its topic."
    )
    visible_camera_info: str = option(
        "", "This camera_info YAML has the visible camera's lens; else the calibration has it, else its topic."
    )
    homography: tuple[float, float, float, float, float, float, float, float, float] = option(
        NO_HOMOGRAPHY,
        "This row-major 3x3 homography brings pixels of the thermal image to pixels of the visible one; nine zeros "
        "mean that of the calibration.",
    )
    thermal_rectified: bool = option(
        False, "The thermal image is rectified already: the matrix P of its camera_info counts, not K and D."
    )
    visible_rectified: bool = option(
        False, "The visible image is rectified already: the matrix P of its camera_info counts, not K and D."
    )
    misalignment_limit: float = option(
        3.0,
        "A warning is given where the edges of both images say that thermal lies off the visible one by more than this "
        "in the fused image, and by more than 0.5 % of its width; 0 looks at nothing.",
        unit="px",
        low=0.0,
        high=1000.0,
        live=True,
    )
    depth_slop: float = option(
        0.05,
        "A depth image registers a visible one whose stamp differs by this at most.",
        unit="s",
        low=0.0,
        high=10.0,
        live=True,
    )
    # Depth that a camera or a stereo matcher computes comes 30 to 100 ms after the images.
    depth_timeout: float = option(
        0.1,
        "A pair waits up to this long for the depth image nearest in time to its visible one; after that the nearest "
        "of those that came counts. sync.queue_* bound how many pairs wait.",
        unit="s",
        low=0.0,
        high=10.0,
        live=True,
    )

    def __post_init__(self) -> None:
        check_options(self)


def load_registration(config: RegistrationConfig) -> PairCalibration:
    """Return what the files and parameters of ``config`` say of the cameras; nothing in mode none.

    What is not there has to come on topics. Raises :class:`ConfigError` for a file that cannot be read or is wrong, a
    homography that is missing or implausible, and a lens that cannot be computed with.
    """
    if config.mode == NONE:
        return PairCalibration()
    found = PairCalibration()
    if config.calibration:
        found = load_calibration(config.calibration, (config.kalibr_thermal, config.kalibr_visible))
    thermal = load_camera_info(config.thermal_camera_info) if config.thermal_camera_info else found.thermal
    visible = load_camera_info(config.visible_camera_info) if config.visible_camera_info else found.visible
    homography = found.homography if config.homography == NO_HOMOGRAPHY else config.homography
    if config.mode == HOMOGRAPHY:
        if homography is None:
            raise ConfigError(
                "registration.mode is homography, but neither registration.homography nor the file of "
                "registration.calibration has one; set one of them, or take mode rectify"
            )
        check_homography(homography, thermal.image_size if thermal else (SMALLEST, SMALLEST))
    else:
        for stream, model, is_rectified in (
            (THERMAL, thermal, config.thermal_rectified),
            (VISIBLE, visible, config.visible_rectified),
        ):
            if model is not None:
                lens = rectified_model(model) if is_rectified else model
                check_lens(lens, f"the {stream} camera of registration")
                if is_rectified:
                    turned(model, stream)
    return PairCalibration(thermal, visible, found.thermal_to_visible, homography, found.thermal_offset)


def turned(model: CameraModel, stream: str) -> RigidTransform:
    """Return what turns a camera's axes to those of its rectified image; ConfigError where R is no rotation."""
    try:
        return RigidTransform(model.r)
    except ConfigError as error:
        raise ConfigError(f"rectification matrix R of the {stream} camera: {error}") from error
