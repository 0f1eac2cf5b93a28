PYTHON ?= $(shell command -v python3.11 || command -v python3)
KIT := run/starter.kit
WORKERS ?= 2
KITS ?= $(KIT)

.PHONY: run test check docs measured proof proof-arm proof-old-x86 clean

run: .venv/.installed
	@.venv/bin/edgefuse starter $(KIT)
	@.venv/bin/edgefuse classify $(KIT)/golden/0.png --text $(KIT)/golden/0.txt --kit $(KIT)

test: .venv-test/.installed check
	.venv-test/bin/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

check: .venv-test/.installed
	.venv-test/bin/ruff check .
	.venv-test/bin/ruff format --check .
	.venv-test/bin/mypy
	.venv-test/bin/lint-imports

docs: .venv-test/.installed
	.venv-test/bin/properdocs build --strict

# For the page "Measured on"; KITS: the starter kit and others, such as KITS="run/starter.kit real.kit".
measured: .venv-test/.installed
	.venv-test/bin/python bench/measured_on.py $(KITS)

# A folder's time stamp changes with every file in it, so each environment has a mark of its own.
.venv/.installed: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --editable '.[export]'
	@touch $@

# llama.cpp is built for any processor of this kind, not for this very one: a native build can die elsewhere.
.venv-test/.installed: pyproject.toml tests/constraints.txt
	$(PYTHON) -m venv .venv-test
	CMAKE_ARGS="-DGGML_NATIVE=OFF" .venv-test/bin/pip install --quiet --constraint tests/constraints.txt \
		--editable '.[dev,export-torch,llama]'
	@touch $@

# What the tests prove in small counts, in full ones, and on every emulated processor: hours. PARTS="--part mutants" runs
# one part. The figures go to docs/proof.json.
proof: .venv-test/.installed
	@test -d $(KIT) || .venv-test/bin/edgefuse starter $(KIT)
	.venv-test/bin/python -m edgefuse_packaging.full_proof $(KIT) $(PARTS)

# Needs debootstrap and qemu-user-static, and to be the administrator; it says so where they are missing. PROOF=--required
# makes that an error, and PROCESSORS="--processor cortex-a72" tries one processor instead of all.
proof-arm: .venv-test/.installed
	@test -d $(KIT) || .venv-test/bin/edgefuse starter $(KIT)
	.venv-test/bin/python -m edgefuse_packaging.proof $(KIT) --machine aarch64 $(PROCESSORS) $(PROOF)

proof-old-x86: .venv-test/.installed
	@test -d $(KIT) || .venv-test/bin/edgefuse starter $(KIT)
	.venv-test/bin/python -m edgefuse_packaging.proof $(KIT) --machine x86_64 $(PROCESSORS) $(PROOF)

clean:
	rm -rf .venv .venv-test .cache run site
