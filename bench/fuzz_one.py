"""One target under atheris: ``python -m bench.fuzz_one TARGET OPTIONS-OF-LIBFUZZER``.

A process of its own, because libFuzzer ends the one it runs in.
"""

from __future__ import annotations

import sys

import atheris


def main() -> None:
    """Fuzz until libFuzzer's options say that it is enough."""
    # Only what is imported below is watched.
    with atheris.instrument_imports(include=["otrsd.mime"]):
        from bench.fuzz_targets import TARGETS  # noqa: PLC0415
    name, target = sys.argv[1], TARGETS[sys.argv[1]]
    atheris.Setup([name, *sys.argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
