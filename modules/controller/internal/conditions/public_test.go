package conditions_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/controller/internal/conditions"
)

func TestPublicHidesNodeInternals(t *testing.T) {
	t.Parallel()
	const uid = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
	id := strings.Repeat("0f", 32)
	for text, want := range map[string]string{
		// container runtime
		`failed to create containerd task: error mounting "/var/lib/kubelet/pods/` + uid +
			`/volumes/kubernetes.io~projected/x" to rootfs at "/data": not a directory`: `failed to create containerd task: error mounting "(a path of the node)" to rootfs at "/data": not a directory`,

		`open /run/containerd/io.containerd.runtime.v2.task/k8s.io/` + id +
			`/config.json: no space left on device`: `open (a path of the node): no space left on device`,

		`change mount propagation through procfd: open o_path procfd /proc/thread-self/fd/7: x`: `change mount propagation through procfd: open o_path procfd (a path of the node): x`,

		`failed to start container "` + id +
			`": exec: "/app": stat /app: no such file or directory`: `failed to start container "…": exec: "/app": stat /app: no such file or directory`,
		`failed to reserve container name, is reserved for containerd://` +
			id: `failed to reserve container name, is reserved for …`,
		// kubelet
		`back-off 10s restarting failed container=w-a-b pod=w-a-b-7c9d_worker(` + uid +
			`)`: `back-off 10s restarting failed container=w-a-b pod=w-a-b-7c9d_worker`,
		`sandbox of pod "` + uid + `" is gone`: `sandbox of pod "…" is gone`,
		// network
		`dial tcp: lookup registry.test on 127.0.0.53:53: no such host`:                                                                        `dial tcp: lookup registry.test on (an address of the node): no such host`,
		`lookup registry.test on 10.96.0.10:53: server misbehaving`:                                                                            `lookup registry.test on (an address of the node): server misbehaving`,
		`proxyconnect tcp: dial tcp 127.0.0.1:3128: connect: connection refused`:                                                               `proxyconnect tcp: dial tcp (an address of the node): connect: connection refused`,
		`dial tcp [::1]:5000: connect: connection refused`:                                                                                     `dial tcp (an address of the node): connect: connection refused`,
		`read tcp 10.0.0.5:41234->203.0.113.7:443: read: connection reset by peer`:                                                             `read tcp (an address of the node)->203.0.113.7:443: read: connection reset by peer`,
		`failed calling webhook "x.test": dial tcp 127.0.0.1:9443: connection refused`:                                                         `failed calling webhook "x.test": dial tcp (an address of the node): connection refused`,
		`failed to call webhook: Post "https://guard.policies.svc:443/check?timeout=10s": dial tcp 10.96.3.7:443: connect: connection refused`: `failed to call webhook: Post (a part of the platform): connect: connection refused`,
		`failed to call webhook: Post "https://guard.policies.svc:443/check?timeout=10s": context deadline exceeded`:                           `failed to call webhook: Post (a part of the platform): context deadline exceeded`,
		// Inner's user name
		`services "w-a-b-http" is forbidden: User "system:serviceaccount:console:inner-gateway" cannot patch resource "services"`: `services "w-a-b-http" is forbidden: (a part of the platform) cannot patch resource "services"`,
		// the owner's own names stay
		`Get "https://registry.svc.test/v2/": dial tcp 203.0.113.7:443: i/o timeout`: `Get "https://registry.svc.test/v2/": dial tcp 203.0.113.7:443: i/o timeout`,
		`Back-off pulling image "registry.test/team/app:` + uid +
			`"`: `Back-off pulling image "registry.test/team/app:` + uid + `"`,
		`registry.test/app@sha256:` + id + `: not found`:                    `registry.test/app@sha256:` + id + `: not found`,
		`dial tcp 203.0.113.7:443: i/o timeout`:                             `dial tcp 203.0.113.7:443: i/o timeout`,
		`dial tcp 10.127.0.1:443: i/o timeout`:                              `dial tcp 10.127.0.1:443: i/o timeout`,
		`pulling "registry.test/proc/app:1": not found`:                     `pulling "registry.test/proc/app:1": not found`,
		`exec: "/var/run/start": permission denied`:                         `exec: "/var/run/start": permission denied`,
		`0/3 nodes are available: 3 Insufficient cpu.`:                      `0/3 nodes are available: 3 Insufficient cpu.`,
		"Usage of EmptyDir volume \"tmp\" exceeds the limit \"1\x1bGi\".\n": `Usage of EmptyDir volume "tmp" exceeds the limit "1Gi".`,
	} {
		require.Equal(t, want, conditions.Public(text))
		require.Equal(t, want, conditions.Public(want), "idempotent")
	}
}
