# The nightly job in a container. Build and run:
#
#   docker build --tag churnlab .
#   docker run --rm --volume shop:/srv/churnlab --env CHURNLAB_SINK churnlab score --sink env:CHURNLAB_SINK
#
# The folder /srv/churnlab holds params.yaml, its playbook and the workspace; nothing else is written to but the folder of
# temporary files.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
RUN python -m venv /opt/churnlab
ENV PATH=/opt/churnlab/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
COPY constraints.txt pyproject.toml README.md ./
COPY pipelines pipelines
COPY src src
RUN pip install -c constraints.txt ".[postgres,duckdb,excel]"

FROM python:${PYTHON}-slim
# LightGBM loads the system's OpenMP.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /srv/churnlab churnlab
COPY --from=build /opt/churnlab /opt/churnlab
COPY deploy/alert /opt/churnlab/bin/churnlab-alert
ENV PATH=/opt/churnlab/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
WORKDIR /srv/churnlab
STOPSIGNAL SIGTERM
ENTRYPOINT ["churnlab"]
CMD ["score"]
