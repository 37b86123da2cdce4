# One image for all services; the command names the one: services.git_watcher, shared.bus.topology.
ARG BASE=python:3.12-slim

FROM ${BASE} AS sops
# For files that sops has encrypted: --build-arg SOPS=v..., see docs/applying.md. It takes minutes and adds 52 MB.
ARG SOPS=
# Go fetches the toolchain that sops asks for; both are checked by Go's checksum database. Static, so
# that it runs on any base.
RUN mkdir /out \
 && if [ -n "${SOPS}" ]; then \
      apt-get update && apt-get install --yes --no-install-recommends golang-go ca-certificates \
      && CGO_ENABLED=0 GOTOOLCHAIN=auto GOBIN=/out go install -trimpath -ldflags="-s -w" \
           "github.com/getsops/sops/v3/cmd/sops@${SOPS}"; \
    fi

FROM ${BASE} AS build
WORKDIR /build
COPY requirements.lock pyproject.toml ./
# The lock holds the tools of development, too. uv, itself taken from the lock, installs what the
# services need and no more, in the lock's versions and checked by the lock's hashes; pip can't.
RUN sed -n '/^uv==/,/^[^ ]/{/^uv==/p;/^ /p}' requirements.lock > /tmp/uv.lock \
 && python -m venv /tmp/uv \
 && /tmp/uv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/uv.lock
RUN python -m venv --without-pip /venv \
 && UV_SYSTEM_CERTS=true /tmp/uv/bin/uv pip install --no-cache --python /venv --compile-bytecode \
      --require-hashes --constraints requirements.lock --requirements pyproject.toml \
      --extra git-watcher --extra registry-scanner --extra repo-writer \
      --extra cluster-applier --extra gateway --extra renderer
WORKDIR /app
COPY LICENSE ./
COPY shared shared
COPY services services
COPY fluxctl fluxctl
RUN /venv/bin/python -m compileall -q shared services fluxctl

FROM ${BASE}
LABEL org.opencontainers.image.licenses="Apache-2.0"
# What repo-writer signs commits with, and sops opens files with.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gnupg openssh-client \
 && rm -rf /var/lib/apt/lists/*
# The base comes without compiled files, and a read-only root keeps none: every start, and every
# health check, would compile the standard library anew.
RUN useradd --uid 65532 --create-home --home-dir /home/flux flux \
 && install -d -o flux -g flux /var/lib/flux \
 && python -m compileall -q -x site-packages "$(python -c 'import os; print(os.path.dirname(os.__file__))')"
COPY --from=sops /out/ /usr/local/bin/
COPY --from=build /venv /venv
COPY --from=build /app /app
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/flux
USER 65532:65532
ENTRYPOINT ["python", "-m"]
CMD ["services", "--config", "/etc/flux/flux.yaml"]
