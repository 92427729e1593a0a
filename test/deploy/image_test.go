package deploy_test

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
)

// dockerfile returns the instructions of the Dockerfile, in its stages.
func dockerfile(t *testing.T) (stages [][]string) {
	t.Helper()
	content, err := os.ReadFile("../../Dockerfile")
	require.NoError(t, err)
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "FROM ") {
			stages = append(stages, nil)
		}
		if len(stages) > 0 && line != "" && !strings.HasPrefix(line, "#") {
			last := len(stages) - 1
			stages[last] = append(stages[last], line)
		}
	}
	return stages
}

// buildLine matches how the image's program is built.
var buildLine = regexp.MustCompile(`^RUN (CGO_ENABLED=0 go build .*) -o /out/inner \./cmd/inner$`)

// TestImageIsStaticProgramWithVersion builds the program as the image does.
func TestImageIsStaticProgramWithVersion(t *testing.T) {
	t.Parallel()
	stages := dockerfile(t)
	require.Len(t, stages, 2)
	command := ""
	for _, instruction := range stages[0] {
		if match := buildLine.FindStringSubmatch(instruction); match != nil {
			command = match[1]
		}
	}
	require.NotEmpty(t, command)
	program := filepath.Join(t.TempDir(), "inner")
	build := exec.CommandContext(t.Context(), "sh", "-ec", command+" -o "+program+" ./cmd/inner")
	build.Dir, build.Env = "../..", append(os.Environ(), "VERSION=v9.8.7-test")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))

	file, err := elf.Open(program)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	libraries, err := file.ImportedLibraries()
	require.NoError(t, err)
	require.Empty(t, libraries)
	for _, p := range file.Progs {
		require.NotEqual(t, elf.PT_INTERP, p.Type, "it needs a loader, which the image has not")
	}
	out, err = exec.CommandContext(t.Context(), program, "version").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "v9.8.7-test")
}

func TestImageHasNoShellAndRunsAsDeploymentUser(t *testing.T) {
	t.Parallel()
	stages := dockerfile(t)
	image := stages[len(stages)-1]
	require.Equal(t, "FROM scratch", image[0])
	pod := read[appsv1.Deployment](t,
		byName(t, folder+"/overlays/production")["Deployment/inner-gateway"]).Spec.Template.Spec.SecurityContext
	user := strconv.FormatInt(*pod.RunAsUser, 10) + ":" + strconv.FormatInt(*pod.RunAsGroup, 10)
	require.Contains(t, image, "USER "+user)
	require.Contains(t, image, `ENTRYPOINT ["/inner"]`)
	for _, instruction := range image {
		require.NotContains(t, instruction, "RUN ", "there is nothing to run it with")
	}
}
