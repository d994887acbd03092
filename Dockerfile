# Image of Beam workers: Beam's own image with fieldpool and its requirements in the versions of the lock file.
#
#   docker build --build-arg PYTHON=3.11 --tag REGISTRY/fieldpool:TAG .
#
# PYTHON is the Python version that jobs are submitted with. The entry point is Beam's: /opt/apache/beam/boot.
ARG PYTHON=3.11
FROM apache/beam_python${PYTHON}_sdk:2.77.0

COPY . /opt/fieldpool
RUN cd /opt/fieldpool && pip install --no-cache-dir --constraint requirements.lock .
# Compiles what Numba compiles, so that workers with a processor of the same kind need not.
RUN python -c "import fieldpool.pipeline.kernels.examples, fieldpool.pipeline.kernels.farmhash"
# Prints the versions that workers compare with those at submission, and checks that fieldpool can be imported.
RUN python -c "import fieldpool.pipeline.runs.preprocess, fieldpool.pipeline.jobs.versions as w; print(w.versions())"
