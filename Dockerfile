# The introd server in a container: glibc and libstdc++, no shell, not root. docs/packages.md says how to run it, and why with the host's network.
#
#   docker build -t introd .
#   docker run --network host -v ./conf:/etc/introd/conf:ro -v ./lua:/etc/introd/lua:ro introd

ARG BUILD_IMAGE=docker.io/library/rust:1.95-bookworm
# The Debian release of both images must be the same: the program is linked against glibc, because plugins are loaded at run time.
ARG RUN_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILD_IMAGE} AS build
WORKDIR /introd
COPY . .
RUN cargo build --release --locked -p introd -p lookup-filter -p group-bootstrap -p registry-redis \
    && install -D --strip target/release/introd /image/usr/bin/introd \
    && install -D --strip -t /image/usr/lib/introd/plugins \
        target/release/liblookup_filter.so target/release/libgroup_bootstrap.so target/release/libregistry_redis.so \
    && install -d /image/etc/introd \
    && cp -r conf lua /image/etc/introd/ \
    && find /image/etc/introd/lua -mindepth 1 -maxdepth 1 ! -name library -exec rm -r {} + \
    && chmod -R a+rX /image/etc

FROM ${RUN_IMAGE}
COPY --from=build /image/ /
WORKDIR /etc/introd
# The user nonroot of the image, by number, so that Kubernetes can check that it is not root.
USER 65532:65532
EXPOSE 1935/udp
# Ready for clients: its exit status is 1 if not. It asks the administration at 127.0.0.1:1111.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/usr/bin/introd", "status"]
ENTRYPOINT ["/usr/bin/introd"]
CMD ["run"]
