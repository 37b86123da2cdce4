# One image for all services; the command names the one: services.git_watcher, shared.bus.topology.
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
WORKDIR /app
COPY requirements.lock ./
RUN python -m venv /venv \
 && /venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY shared shared
COPY services services
COPY fluxctl fluxctl
# Without compiled files the first import of the Kubernetes client alone takes seconds.
RUN /venv/bin/python -m compileall -q shared services fluxctl

FROM ${BASE}
LABEL org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 65532 --create-home --home-dir /home/flux flux \
 && install -d -o flux -g flux /var/lib/flux
COPY --from=build /venv /venv
COPY --from=build /app /app
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/flux
USER 65532:65532
ENTRYPOINT ["python", "-m"]
CMD ["services", "--config", "/etc/flux/flux.yaml"]
