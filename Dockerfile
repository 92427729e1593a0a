# The image of Inner Gateway: one static program, no shell, no root. `make image` makes the same without a container engine.
#   docker build --build-arg VERSION="$(git describe --tags --always)" -t <registry>/inner-gateway:<version> .

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=development
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /out/inner ./cmd/inner
# So that the user has a name and a home, which drivers may ask for.
RUN echo 'inner:x:65532:65532:Inner Gateway:/:/inner' > /out/passwd

FROM scratch
COPY --from=build /out/passwd /etc/passwd
COPY --from=build /out/inner /inner
USER 65532:65532
EXPOSE 9901
# A small heap would be collected many times a second; GOMEMLIMIT, to be set near the container's limit, bounds it.
ENV GOGC=200
ENTRYPOINT ["/inner"]
CMD ["serve"]
