"""What the lab's command lines have in common."""
import os
import shutil
import sys
import tempfile
import traceback

SKIPPED = 77  # tells ctest that the test was skipped
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def add_arguments(parser):
    parser.add_argument("--bin", default=os.path.join(_ROOT, "build", "release", "bin"), metavar="DIR",
                        help="where the programs are (default build/release/bin)")
    parser.add_argument("--keep", action="store_true", help="keep captures, logs and the wire's own capture, and say where")


def are_built(folder, programs):
    """Whether all are there; says which are not."""
    missing = [path for path in (os.path.join(folder, program) for program in programs) if not os.access(path, os.X_OK)]
    for path in missing:
        print(f"{path} is missing: build it first (cmake --build --preset release)", file=sys.stderr)
    return not missing


def in_folder(run, keep):
    """Calls run(folder), which returns how much was wrong; gives the exit status.

    The folder is for captures and logs, and stays when it is to be kept or something was wrong.
    """
    folder = tempfile.mkdtemp(prefix="sidetap-lab.")
    wrong = 1
    try:
        wrong = run(folder)
        return 1 if wrong else 0
    except KeyboardInterrupt:
        print("interrupted; everything is cleaned up", file=sys.stderr)
        keep, wrong = False, 0
        return 130
    except RuntimeError:
        traceback.print_exc()
        return 1
    finally:
        if keep or wrong:
            print(f"captures and logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
