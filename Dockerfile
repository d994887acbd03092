# Image of Beam workers: Beam's own, with fieldpool and what it needs in the versions of the lock file.
#
#   docker build --build-arg PYTHON=3.11 --tag REGISTRY/fieldpool:TAG .
#
# PYTHON is the version of who submits jobs. Beam's entry point, /opt/apache/beam/boot, stays as it is.
ARG PYTHON=3.11
FROM apache/beam_python${PYTHON}_sdk:2.77.0

COPY . /opt/fieldpool
RUN cd /opt/fieldpool && pip install --no-cache-dir --constraint requirements.lock .
# Shows in the log what jobs will be held against, and that all of it can be imported.
RUN python -c "import fieldpool.pipeline.runs.preprocess, fieldpool.pipeline.jobs.versions as w; print(w.versions())"
