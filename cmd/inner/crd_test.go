package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestCRDPrintsTheDefinition(t *testing.T) {
	t.Parallel()
	output, err := execute(t, "crd")
	require.NoError(t, err)
	var definition struct {
		Kind     string
		Metadata struct{ Name string }
	}
	require.NoError(t, yaml.Unmarshal([]byte(output), &definition))
	require.Equal(t, "CustomResourceDefinition", definition.Kind)
	require.Equal(t, "workerapps.console.app238.com", definition.Metadata.Name)
}
