// Package spec describes the image of Inner Gateway, as the Dockerfile does.
package spec

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"app238.com/inner/cmd/image/oci"
)

// Commit is the source of a build.
type Commit struct {
	// Revision is its hash; "" outside of a clone.
	Revision string
	// Time is that of the commit; the Unix epoch outside of a clone.
	Time time.Time
}

// Head returns the checked-out commit.
func Head(ctx context.Context) Commit {
	c := Commit{Time: time.Unix(0, 0).UTC()}
	output, err := exec.CommandContext(ctx, "git", "log", "-1", "--format=%H %ct").Output()
	if err != nil {
		return c
	}
	revision, seconds, _ := strings.Cut(string(bytes.TrimSpace(output)), " ")
	c.Revision = revision
	if at, err := strconv.ParseInt(seconds, 10, 64); err == nil {
		c.Time = time.Unix(at, 0).UTC()
	}
	return c
}

// Platforms parses a comma-separated list of platforms such as linux/amd64.
func Platforms(list string) (platforms []v1.Platform, err error) {
	for name := range strings.SplitSeq(list, ",") {
		platform, err := v1.ParsePlatform(name)
		if err != nil || platform.OS == "" || platform.Architecture == "" {
			return nil, fmt.Errorf("%q is not like linux/amd64", name)
		}
		platforms = append(platforms, *platform)
	}
	return platforms, nil
}

// Inner is the image of the Dockerfile; a test compares the two.
func Inner(version string, c Commit) oci.Spec {
	labels := map[string]string{
		"org.opencontainers.image.created":  c.Time.Format(time.RFC3339),
		"org.opencontainers.image.licenses": "Apache-2.0",
		"org.opencontainers.image.title":    "Inner Gateway",
		"org.opencontainers.image.version":  version,
	}
	if c.Revision != "" {
		labels["org.opencontainers.image.revision"] = c.Revision
	}
	return oci.Spec{
		Package: "./cmd/inner",
		Linker:  "-s -w -X main.version=" + version,
		Program: "/inner",
		Files:   map[string]string{"/etc/passwd": "inner:x:65532:65532:Inner Gateway:/:/inner\n"},
		Created: c.Time,
		Config: v1.Config{
			User:         "65532:65532",
			ExposedPorts: map[string]struct{}{"9901/tcp": {}},
			Env:          []string{"GOGC=200"},
			Entrypoint:   []string{"/inner"},
			Cmd:          []string{"serve"},
			WorkingDir:   "/",
			Labels:       labels,
		},
	}
}
