"""Makes the package installable with pip, editable from a checkout above all: ``pip install -e .``.

The messages are not here: CMakeLists.txt builds them. Version and entry points are the same there, held by a test.
"""

from setuptools import find_packages, setup

setup(
    name="hkdnet_ros",
    version="0.2.0",
    description="Thermal-visible image fusion and super-resolution for ROS 2",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["hkdnet_ros", "hkdnet_ros.*"]),
    # Said although it is the default: an editable install is then a path entry, which lets this folder win over the
    # folder of generated messages, where setuptools' import hook would lose.
    package_dir={"": "."},
    package_data={"hkdnet_ros": ["py.typed", "weights/*", "evaluation/web/*"]},
    install_requires=[
        "numpy",
        "opencv-python-headless<5",
        "PyYAML",
        "rosbags",
        "safetensors",
        "tensorboardX",
        "torch>=2.1",
        "tqdm",
    ],
    extras_require={
        "openvino": ["openvino"],  # found by itself; about half as fast again as torch on x86
        "ray": ["ray"],  # for hkdnet evaluate bag --ray
    },
    entry_points={
        "console_scripts": [
            "hkdnet = hkdnet_ros.cli:main",
            "fusion_node = hkdnet_ros.node.fusion_node:main",
            "replay_node = hkdnet_ros.replay.replay_node:main",
        ]
    },
)
