package modules_test

import (
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"app238.com/inner/cmd/licenses/modules"
)

// permitted are the licences under which others' code may be part of a program under the Apache License. MPL-2.0 asks for the
// source of the files under it, which their modules publish. Unicode's is that of its tables.
var permitted = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "Unicode-DFS-2016"}

func TestEveryLicenseOfTheProgramIsPermitted(t *testing.T) {
	t.Parallel()
	all, err := modules.Of(t.Context(), "app238.com/inner/cmd/inner", v1.Platform{OS: "linux", Architecture: runtime.GOARCH})
	require.NoError(t, err)
	require.Greater(t, len(all), 50)
	paths := map[string]bool{}
	for _, m := range all {
		require.Subset(t, permitted, m.Licenses, m.Path)
		require.NotEmpty(t, m.Version, m.Path)
		paths[m.Path] = true
	}
	for _, path := range []string{"std", "k8s.io/client-go", "github.com/tikv/client-go/v2", "go.uber.org/fx"} {
		require.True(t, paths[path], path)
	}
	require.False(t, paths["github.com/stretchr/testify"], "only tests use it")
	texts := modules.Texts(all)
	require.Contains(t, texts, "The Go Authors")
	require.Less(t, strings.Count(texts, "TERMS AND CONDITIONS FOR USE, REPRODUCTION"), len(all)/4, "equal texts stand there once")
}
