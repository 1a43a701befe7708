"""What the system must bring before `make setup` can work: standard library only, any Python 3.

Prints nothing and exits 0 when all is there; else prints one line, the command that installs exactly what is missing,
and exits 1.
"""

import ctypes.util
import glob
import importlib.util
import os
import shutil
import sys
import sysconfig

OLDEST = (3, 11)


def has_libpython():
    """A shared libpython of this very interpreter: the simulator loads it to run cocotb tests."""
    short = "%d.%d" % sys.version_info[:2]
    name = "libpython%s.so" % short
    folders = [sysconfig.get_config_var("LIBDIR"), os.path.join(sys.base_prefix, "lib")]
    multiarch = sysconfig.get_config_var("MULTIARCH")
    folders += [os.path.join(folder, multiarch) for folder in ("/usr/lib", "/lib") if multiarch]
    if any(folder and glob.glob(os.path.join(folder, name + "*")) for folder in folders):
        return True
    return ctypes.util.find_library("python" + short) is not None


def missing():
    """Debian package names, in the order of the documentation."""
    short = "%d.%d" % sys.version_info[:2]
    packages = []
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        packages.append("python3-venv")
    if not has_libpython():
        packages.append("libpython" + short)
    compiler = os.environ.get("CXX", "g++").split()[0]
    if shutil.which(compiler) is None:
        packages.append("g++")
    packages += [program for program in ("make", "git") if shutil.which(program) is None]
    return packages


def main():
    if sys.version_info < OLDEST:
        versions = OLDEST + sys.version_info[:2]
        print("Striate needs Python %d.%d or newer, found %d.%d: make PYTHON=/path/to/newer/python3" % versions)
        return 1
    packages = missing()
    if packages:
        print("sudo apt-get install -y " + " ".join(packages))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
