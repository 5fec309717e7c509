# The pinned packages and foreclick in a virtual environment, on a slim Python, under a user without rights.
FROM python:3.11-slim AS build
RUN python -m venv /opt/foreclick
WORKDIR /source
COPY requirements.txt ./
RUN /opt/foreclick/bin/pip install --no-cache-dir --require-hashes --requirement requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY producers ./producers
COPY model_store ./model_store
COPY streamer ./streamer
COPY foreclick ./foreclick
RUN /opt/foreclick/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN useradd --system --create-home foreclick && install --directory --owner foreclick /models
COPY --from=build /opt/foreclick /opt/foreclick
USER foreclick
WORKDIR /home/foreclick
ENV PATH=/opt/foreclick/bin:$PATH PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["foreclick"]
