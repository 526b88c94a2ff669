"""hkdnet_ros: thermal-visible image fusion and super-resolution for ROS 2.

The message classes (``hkdnet_ros.msg``) are generated at build time into an installed package of the same name.
Extending ``__path__`` lets a source checkout and that installed part act as one package, whichever comes first.
"""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
__version__ = "0.2.0"
