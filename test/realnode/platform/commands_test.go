package platform_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/stack"
	"app238.com/inner/test/stack/build"
	"app238.com/inner/test/terminal"
)

// testCommands has an operator use Inner's commands in its pods, as the guide has it.
func testCommands(t *testing.T, p *platform) {
	kubectl, err := build.Kubectl(t.Context(), build.Options{Log: t.Output()})
	require.NoError(t, err)
	execute := func(args ...string) *exec.Cmd {
		return exec.CommandContext(t.Context(), kubectl,
			append([]string{"--kubeconfig", os.Getenv(stack.EnvKubeconfig), "-n", "console", "exec"}, args...)...)
	}
	inner := func(args ...string) string {
		out, err := execute(append([]string{"deploy/inner-gateway", "-c", "inner", "--", "/inner"}, args...)...).CombinedOutput()
		require.NoError(t, err, "inner %s: %s", strings.Join(args, " "), out)
		t.Logf("inner %s\n%s", strings.Join(args, " "), out)
		return string(out)
	}
	k := p.worker(t, "commands", 1)
	p.awaitVersion(t, p.deploy(t, k, "1", 8080), "success")
	shown := inner("workers", "show", k.id)
	require.Regexp(t, `Problems +none`, shown)
	require.Contains(t, shown, k.host())
	require.Contains(t, inner("workers", "list", "--user", "u1"), k.id)
	require.Contains(t, inner("status", "-o", "wide"), "2 alive")

	top := terminal.Start(t, execute("-it", "deploy/inner-gateway", "-c", "inner", "--", "/inner", "top"))
	top.Await(0, `q quit`)
	top.Await(0, `leader`)
	top.Press("q")
	require.NoError(t, top.Wait())
	top.Await(0, `\x1b\[\?1049l`) // the screen of before is back
}
