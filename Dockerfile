# One static binary in an empty image.
#
#   docker build -t metahub .
#   docker run -p 80:80 -p 443:443 -p 443:443/udp -v ./metahub:/etc/metahub:ro -v metahub:/var/lib/metahub metahub
#
# With podman or buildah build --format docker, which is the format that knows HEALTHCHECK.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/metahub .
# What a scratch image lacks: folders that the user of the server may write to, and a place for temporary files.
RUN mkdir -p /out/files/var/lib/metahub/certs /out/files/var/lib/metahub/data /out/files/tmp && chmod 1777 /out/files/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65532:65532 /out/files/ /
COPY --from=build /out/metahub /metahub

# Container engines let any user listen on low ports (net.ipv4.ip_unprivileged_port_start=0 in the container's own network); where one
# does not, add --sysctl net.ipv4.ip_unprivileged_port_start=0, or set other addresses here and publish 443:8443 and 80:8080.
USER 65532:65532
ENV METAHUB_CONFIG=/etc/metahub/tenants.yaml \
    METAHUB_GATEWAY_HTTPS=:443 \
    METAHUB_GATEWAY_HTTP=:80 \
    METAHUB_GATEWAY_ADMIN=127.0.0.1:9180 \
    METAHUB_GATEWAY_DATA=/var/lib/metahub/data \
    METAHUB_GATEWAY_CERTIFICATES_FOLDER=/var/lib/metahub/certs
EXPOSE 80 443 443/udp
VOLUME ["/var/lib/metahub"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 CMD ["/metahub", "health"]
ENTRYPOINT ["/metahub"]
