package conditions

import (
	"regexp"
	"strings"

	"app238.com/inner/app/logging"
)

// What stands for a part of a message that is the node's own.
const (
	pathPlaceholder      = "(a path of the node)"
	componentPlaceholder = "(a part of the platform)"
	addressPlaceholder   = "(an address of the node)"
)

// hidden are the parts of messages of the kubelet, the container runtime and the API server that say how a node or the control
// plane is set up, and nothing that a worker's owner could change. What he named himself stays: images with their digests and
// tags, paths in his container, addresses of registries.
var internals = []struct {
	part *regexp.Regexp
	with string
}{
	{regexp.MustCompile("(^|[\\s\"'`=(:])" + `/(?:var/lib/(?:kubelet|containerd|containers|docker|cni|rancher|k0s)|(?:var/)?run/(?:containerd|containers|crio|docker|k3s|k0s|netns|runc|systemd)|` +
		`proc|sys/fs|etc/(?:cni|containerd|kubernetes)|opt/cni)/[^\s"'` + "`" + `,:;)\]]*`), "${1}" + pathPlaceholder},
	// Who Inner is to the API server, and where webhooks listen.
	{regexp.MustCompile(`User "[^"]*"`), componentPlaceholder},
	{regexp.MustCompile(`"https?://[\w.-]+\.svc(?:\.cluster\.local)?[:/"][^"]*"(: dial tcp \S+:\d+)?`), componentPlaceholder},
	// The resolver that the node asks, the node's end of a connection, and addresses that mean something else on each machine.
	{regexp.MustCompile(`(lookup \S+ on )\S+:\d+`), "${1}" + addressPlaceholder},
	{regexp.MustCompile(`(?:\d{1,3}(?:\.\d{1,3}){3}|\[[\w:.%]+\]):\d+->`), addressPlaceholder + "->"},
	{regexp.MustCompile(`\b(?:127(?:\.\d{1,3}){3}|169\.254(?:\.\d{1,3}){2})\b(?::\d+)?|\[(?:::1|fe80:[\w:.%]*)\](?::\d+)?`), addressPlaceholder},
	// UIDs of pods, in brackets behind a pod's name and alone, and ids of containers; not of an image's tag or digest.
	{regexp.MustCompile(`\([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\)`), ""},
	{regexp.MustCompile(`(^|[\s"'=])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`), "${1}…"},
	{regexp.MustCompile(`(^|[\s"'=/])(?:[a-z-]+://)?[0-9a-f]{64}\b`), "${1}…"},
}

// Public returns words of the cluster as they may be shown to a worker's owner: in one piece, without control characters, and
// without what is inside of the nodes.
func Public(text string) string {
	text = logging.Printable(text)
	for _, h := range internals {
		text = h.part.ReplaceAllString(text, h.with)
	}
	return strings.TrimSpace(text)
}
