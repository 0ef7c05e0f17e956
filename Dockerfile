# docker build -t phipi . && docker run --rm -p 127.0.0.1:8000:8000 -e REDIS_URL=redis://… phipi

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends make
WORKDIR /phipi
COPY . .
# What was built of the dependencies before is taken again.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/phipi/target \
    cargo build --release --locked && cp target/release/phipi /usr/local/bin/ && mkdir -p /cache/phipi

# A C library, the system's certificates, and a user without rights; no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /usr/local/bin/phipi /usr/local/bin/
# Without REDIS_URL answers are kept in an SQLite file in here.
COPY --from=build --chown=nonroot:nonroot /cache /var/cache
ENV PHIPI_LISTEN=0.0.0.0:8000 PHIPI_ADMIN_LISTEN=0.0.0.0:8001 XDG_CACHE_HOME=/var/cache
VOLUME /var/cache/phipi
EXPOSE 8000 8001
# There is no shell and no curl: phipi asks itself.
HEALTHCHECK --interval=10s --timeout=5s CMD ["phipi", "health"]
ENTRYPOINT ["phipi"]
