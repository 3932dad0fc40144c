# The server and all commands, built from this source tree. docs/DEPLOYMENT.md says how to run it.

FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p run-agent

FROM debian:bookworm-slim
# An init that reaps: the children of ended runs are handed to it.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && useradd --create-home --uid 10001 conductor \
    && install -d -o conductor -g conductor -m 0700 /data/runs /data/config \
    && printf 'api:\n  host: 0.0.0.0\n  allowed_hosts: [conductor]\n' > /data/config/config.yaml
COPY --from=build /src/target/release/run-agent /src/target/release/conductor /usr/local/bin/
USER conductor
WORKDIR /home/conductor
ENV CONDUCTOR_ROOT=/data/runs \
    CONDUCTOR_CONFIG=/data/config/config.yaml \
    CONDUCTOR_HOST=0.0.0.0
VOLUME ["/data/runs", "/data/config"]
EXPOSE 14355
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["run-agent", "server", "health"]
ENTRYPOINT ["tini", "--"]
CMD ["run-agent", "serve"]
