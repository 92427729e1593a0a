package conditions

import (
	"regexp"
	"strings"

	"app238.com/inner/app/logging"
)

// Placeholders for the hidden parts of messages.
const (
	pathPlaceholder      = "(a path of the node)"
	componentPlaceholder = "(a part of the platform)"
	addressPlaceholder   = "(an address of the node)"
)

// internals match the parts of messages of the kubelet, the container runtime and the API server that reveal the setup of a node
// or the control plane. What the worker's owner chose stays: images with digests and tags, paths in the container, registries.
var internals = []struct {
	part *regexp.Regexp
	with string
}{
	{regexp.MustCompile("(^|[\\s\"'`=(:])" +
		`/(?:var/lib/(?:kubelet|containerd|containers|docker|cni|rancher|k0s)|(?:var/)?run/(?:containerd|containers|crio|docker|k3s|k0s|netns|runc|systemd)|` +
		`proc|sys/fs|etc/(?:cni|containerd|kubernetes)|opt/cni)/[^\s"'` + "`" + `,:;)\]]*`), "${1}" + pathPlaceholder},
	// Inner's user name at the API server, and addresses of webhooks.
	{regexp.MustCompile(`User "[^"]*"`), componentPlaceholder},
	{regexp.MustCompile(`"https?://[\w.-]+\.svc(?:\.cluster\.local)?[:/"][^"]*"(: dial tcp \S+:\d+)?`), componentPlaceholder},
	// The node's resolver, the node's end of a connection, and loopback and link-local addresses.
	{regexp.MustCompile(`(lookup \S+ on )\S+:\d+`), "${1}" + addressPlaceholder},
	{regexp.MustCompile(`(?:\d{1,3}(?:\.\d{1,3}){3}|\[[\w:.%]+\]):\d+->`), addressPlaceholder + "->"},
	{regexp.MustCompile(`\b(?:127(?:\.\d{1,3}){3}|169\.254(?:\.\d{1,3}){2})\b(?::\d+)?|\[(?:::1|fe80:[\w:.%]*)\](?::\d+)?`),
		addressPlaceholder},
	// UIDs of pods, in parentheses or alone, and ids of containers; not an image's tag or digest.
	{regexp.MustCompile(`\([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\)`), ""},
	{regexp.MustCompile(`(^|[\s"'=])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`), "${1}…"},
	{regexp.MustCompile(`(^|[\s"'=/])(?:[a-z-]+://)?[0-9a-f]{64}\b`), "${1}…"},
}

// Public returns a message of the cluster as it may be shown to a worker's owner: printable, and without the internals of nodes
// and control plane.
func Public(text string) string {
	text = logging.Printable(text)
	for _, internal := range internals {
		text = internal.part.ReplaceAllString(text, internal.with)
	}
	return strings.TrimSpace(text)
}
