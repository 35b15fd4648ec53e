# syntax=docker/dockerfile:1
#
# One image for every part: `docker run ... ringfence flow judge`. It runs as a number, not as root, and writes to RINGFENCE_HOME
# and to /tmp alone, so its root may be read-only.
#
# The base is named by its exact tag. A tag can be moved; a digest cannot. Where images are built for production, pin the digest that
# you have tested, here once for both stages:
#   docker buildx imagetools inspect python:3.11.14-slim-bookworm     ->   FROM python:3.11.14-slim-bookworm@sha256:...

FROM python:3.11.14-slim-bookworm AS base


FROM base AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/ringfence
ENV PATH=/opt/ringfence/bin:$PATH
WORKDIR /src

# The libraries first, each file of them by its hash: this layer stays as long as the locks do.
COPY requirements.lock requirements-dev.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --require-hashes -r requirements.lock

# What builds our own package comes from the lock too, and does not get into the image.
RUN --mount=type=cache,target=/root/.cache/pip \
    awk '/^setuptools==/ { on = 1 } on { print } on && !/\\$/ { exit }' requirements-dev.lock > build.lock \
    && pip install --require-hashes --no-deps --target /build -r build.lock
COPY . .
RUN PYTHONPATH=/build pip install --no-cache-dir --no-deps --no-build-isolation --no-index . \
    && pip uninstall --yes pip setuptools \
    && python -m compileall -q /opt/ringfence/lib


FROM base
LABEL org.opencontainers.image.title="Ringfence" \
      org.opencontainers.image.description="Prices a carrier's calls in real time, detects fraud, and blocks it at the switch" \
      org.opencontainers.image.licenses="Apache-2.0"

# tini is process 1: the kernel gives SIGTERM to nobody who runs as process 1 and has no handler for it, and the dataflows have none
# (they may be killed at any moment). It also buries what a killed part leaves behind.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/ringfence

COPY --from=build /opt/ringfence /opt/ringfence

# Compiled kernels are the machine's own, so they are made where it runs, once a container, into its /tmp.
ENV PATH=/opt/ringfence/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TZ=UTC \
    HOME=/tmp \
    NUMBA_CACHE_DIR=/tmp/numba \
    RINGFENCE_HOME=/var/lib/ringfence

USER 10001:10001
WORKDIR /var/lib/ringfence
VOLUME /var/lib/ringfence
STOPSIGNAL SIGTERM

# Asks the part that runs here, whichever it is, for its health: its loop went round within the last minute.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["ringfence", "health"]

ENTRYPOINT ["tini", "--", "ringfence"]
CMD ["--help"]
