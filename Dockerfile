# syntax=docker/dockerfile:1

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build

# Dependencies: built again only when a manifest changes. Targets that manifests name must exist.
COPY Cargo.toml Cargo.lock ./
COPY migrations/Cargo.toml migrations/
RUN mkdir -p src benches migrations/src \
    && echo 'fn main() {}' > src/main.rs \
    && for bench in $(sed -n '/^\[\[bench\]\]/{n;s/^name = "\(.*\)"/\1/p}' Cargo.toml); do \
        echo 'fn main() {}' > "benches/$bench.rs"; done \
    && touch src/lib.rs migrations/src/lib.rs \
    && cargo build --release --locked --bin vigia

# Sources are given a time after that of the stand-ins above.
COPY config config
COPY migrations/src migrations/src
COPY src src
RUN find src migrations/src -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --bin vigia


FROM debian:bookworm-slim
RUN groupadd --gid 10001 vigia \
    && useradd --uid 10001 --gid vigia --no-create-home --shell /usr/sbin/nologin vigia \
    && install -d -o vigia -g vigia -m 700 /data
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /build/target/release/vigia /usr/local/bin/vigia

ENV VIGIA_DATA_DIR=/data
USER vigia
VOLUME /data

# Executions in hand have 25 s to end: stop with `docker stop --time 30`.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 CMD ["vigia", "health"]
ENTRYPOINT ["vigia"]
CMD ["run"]
