# An image for workers, executors and drivers without GPUs (Dockerfile.gpu has them): Java, Spark, and
# the library with all its extras in /opt/sparkml.
#
#   docker build -t sparkml_dist .
#   docker build -t sparkml_dist-minimal --build-arg EXTRAS= .       without networks and boosters
#   docker run sparkml_dist                                          what is in it: sparkml-dist doctor
#   docker run --network host sparkml_dist spark-class \
#     org.apache.spark.deploy.worker.Worker spark://HOST:7077        a worker of a standalone cluster
#
# PYTHON must be the version of the drivers.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim-bookworm AS build
RUN apt-get update \
  && apt-get install -y --no-install-recommends g++ make \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
ARG EXTRAS=deep,boost,search,onnx
RUN python -m venv /opt/sparkml \
  && sed -nE 's/^([A-Za-z0-9._-]+(\[.*\])?==[^\\]+).*/\1/p' requirements.lock >/tmp/pins.txt \
  && /opt/sparkml/bin/pip install --no-cache-dir --constraint /tmp/pins.txt ".${EXTRAS:+[$EXTRAS]}" \
  && case ",$EXTRAS," in *,deep,*) \
    /opt/sparkml/bin/sparkml-dist build-horovod --wheelhouse /tmp/wheelhouse ;; \
  esac

FROM python:${PYTHON}-slim-bookworm
RUN apt-get update \
  && apt-get install -y --no-install-recommends openjdk-17-jre-headless procps tini \
  && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/sparkml /opt/sparkml
ENV PATH=/opt/sparkml/bin:$PATH \
  PYSPARK_PYTHON=/opt/sparkml/bin/python \
  PYSPARK_DRIVER_PYTHON=/opt/sparkml/bin/python \
  SPARK_NO_DAEMONIZE=1
# Spark writes event logs, work folders and shuffles where this user may.
RUN useradd --create-home --uid 185 spark
USER spark
WORKDIR /home/spark
ENTRYPOINT ["tini", "--"]
CMD ["sparkml-dist", "doctor"]
