package chart_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const (
	configs = "../../configs"
	chart   = configs + "/chart"
)

// object is one object of the cluster.
type object = map[string]any

// render returns what helm template prints, by file. The chart's schema has to accept the values.
func render(values object, namespace string) (map[string]string, error) {
	loaded, err := loader.Load(chart)
	if err != nil {
		return nil, err
	}
	all, err := util.ToRenderValues(loaded, values,
		common.ReleaseOptions{Name: "inner-gateway", Namespace: namespace, IsInstall: true, Revision: 1}, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Render(loaded, all)
}

// named returns the objects of documents by kind, namespace and name.
func named(t *testing.T, documents []string) map[string]object {
	t.Helper()
	all := map[string]object{}
	for _, document := range documents {
		var o object
		require.NoError(t, yaml.UnmarshalStrict([]byte(document), &o), document)
		if len(o) == 0 {
			continue
		}
		metadata := at(o, "metadata")
		key := fmt.Sprintf("%v/%v/%v", o["kind"], metadata["namespace"], metadata["name"])
		require.NotContains(t, all, key)
		all[key] = o
	}
	require.NotEmpty(t, all)
	return all
}

func at(o object, path ...string) object {
	for _, key := range path {
		o, _ = o[key].(object)
	}
	return o
}

// byHelm returns the chart's objects.
func byHelm(t *testing.T, values object, namespace string) map[string]object {
	t.Helper()
	files, err := render(values, namespace)
	require.NoError(t, err)
	var documents []string
	for _, file := range slices.Sorted(maps.Keys(files)) {
		documents = append(documents, regexp.MustCompile(`(?m)^---$`).Split(files[file], -1)...)
	}
	return named(t, documents)
}

// byKustomize returns the objects of an overlay with these components, and of the cluster's folder.
func byKustomize(t *testing.T, components ...string) map[string]object {
	t.Helper()
	deploy, err := filepath.Abs(configs + "/deploy")
	require.NoError(t, err)
	folder := t.TempDir()
	deploy, err = filepath.Rel(folder, deploy)
	require.NoError(t, err)
	overlay := fmt.Sprintf("resources: [%s/overlays/production]\ncomponents:\n", deploy)
	for _, component := range components {
		overlay += fmt.Sprintf("  - %s/components/%s\n", deploy, component)
	}
	require.NoError(t, os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(overlay), 0o600))
	var documents []string
	// Each is applied by itself: components label everything that they are built with.
	for _, built := range []string{configs + "/deploy/cluster", folder} {
		made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), built)
		require.NoError(t, err)
		for _, resource := range made.Resources() {
			document, err := resource.AsYAML()
			require.NoError(t, err)
			documents = append(documents, string(document))
		}
	}
	return named(t, documents)
}

var hash = regexp.MustCompile(`^inner-gateway-[a-z0-9]{10}$`)

// normalized removes what the two ways of installing have of their own: Helm's labels, the hash of the settings, and the line
// of the settings that names the namespaces. A list of variables has an order that means nothing.
func normalized(t *testing.T, all map[string]object) map[string]object {
	t.Helper()
	result := map[string]object{}
	for key, o := range all {
		for _, labels := range []object{at(o, "metadata", "labels"), at(o, "spec", "template", "metadata", "labels")} {
			for _, label := range []string{"app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"} {
				delete(labels, label)
			}
		}
		switch o["kind"] {
		case "ConfigMap":
			if at(o, "data")["inner.yaml"] == nil { // the dashboard
				break
			}
			key = "ConfigMap"
			var settings object
			text, _ := at(o, "data")["inner.yaml"].(string)
			require.NoError(t, yaml.Unmarshal([]byte(text), &settings))
			delete(settings, "kubernetes")
			o = object{"namespace": at(o, "metadata")["namespace"], "settings": settings}
		case "Deployment":
			delete(at(o, "spec", "template", "metadata", "annotations"), "checksum/settings")
			pod := at(o, "spec", "template", "spec")
			for _, list := range []string{"initContainers", "containers"} {
				containers, _ := pod[list].([]any)
				for _, c := range containers {
					container, _ := c.(object)
					container["env"] = byName(container["env"])
					container["ports"] = byName(container["ports"])
					container["volumeMounts"] = byName(container["volumeMounts"])
				}
			}
			volumes := byName(pod["volumes"])
			settings := at(at(volumes, "settings"), "configMap")
			if name, _ := settings["name"].(string); hash.MatchString(name) {
				settings["name"] = "inner-gateway"
			}
			pod["volumes"] = volumes
		case "Service":
			spec := at(o, "spec")
			spec["ports"] = byName(spec["ports"])
		}
		result[key] = o
	}
	return result
}

// byName makes a list of things with names a map.
func byName(list any) object {
	named := object{}
	items, _ := list.([]any)
	for _, item := range items {
		o, _ := item.(object)
		name, _ := o["name"].(string)
		named[name] = o
	}
	return named
}

var minimal = object{"settings": object{"domain": "example.com"}, "image": object{"tag": "latest"}}

func TestChartAndKustomizeMakeTheSameObjects(t *testing.T) {
	t.Parallel()
	on := object{"enabled": true}
	for name, test := range map[string]struct {
		values     object
		components []string
	}{
		"Default":        {nil, nil},
		"ServiceMonitor": {object{"serviceMonitor": on}, []string{"servicemonitor"}},
		"Alerts":         {object{"alerts": on}, []string{"alerts"}},
		"Dashboard":      {object{"dashboard": on}, []string{"dashboard"}},
		"TLS":            {object{"tls": on}, []string{"tls"}},
		"TokenAccess":    {object{"tokenAccess": on}, []string{"token-access"}},
		"PodAccess":      {object{"podAccess": on}, []string{"pod-access"}},
		"All": {object{"serviceMonitor": on, "tls": on, "tokenAccess": on, "podAccess": on, "metricsPort": on, "alerts": on,
			"dashboard": on},
			[]string{"servicemonitor", "tls", "token-access", "pod-access", "metrics-port", "alerts", "dashboard"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values := maps.Clone(minimal)
			maps.Copy(values, test.values)
			want, got := normalized(t, byKustomize(t, test.components...)), normalized(t, byHelm(t, values, "default"))
			require.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(got)))
			for key := range want {
				require.Equal(t, want[key], got[key], key)
			}
		})
	}
}

func TestNamespacesAreOneValue(t *testing.T) {
	t.Parallel()
	values := maps.Clone(minimal)
	names := object{"console": "n-console", "worker": "n-worker", "ingress": "n-ingress", "combinator": "n-combinator"}
	values["namespaces"] = names
	values["serviceMonitor"] = object{"enabled": true, "namespace": "n-monitoring"}
	for _, part := range []string{"tokenAccess", "podAccess", "dashboard"} {
		values[part] = object{"enabled": true}
	}
	values["alerts"] = object{"enabled": true, "runbooks": "https://wiki.example.org/inner"}
	all := byHelm(t, values, "n-console")
	for key, o := range all {
		document, err := yaml.Marshal(o)
		require.NoError(t, err)
		for name := range names {
			require.NotRegexp(t, `namespace: `+name+`\n|metadata.name: `+name+`\n`, string(document), key)
		}
		require.NotContains(t, key, "Namespace/<nil>/n-console", "it is the release's, which Helm creates")
	}
	require.Contains(t, all, "Namespace/<nil>/n-worker")
	rules, err := yaml.Marshal(all["PrometheusRule/n-console/inner-gateway"])
	require.NoError(t, err)
	require.Contains(t, string(rules), "https://wiki.example.org/inner/operating.md#innerdown\n")
	require.NotContains(t, string(rules), "runbooks.example.com")
	var content object
	text, _ := at(all["ConfigMap/n-console/inner-gateway"], "data")["inner.yaml"].(string)
	require.NoError(t, yaml.Unmarshal([]byte(text), &content))
	require.Equal(t, object{"control": "n-console", "worker": "n-worker", "ingress": "n-ingress", "combinator": "n-combinator"},
		at(content, "kubernetes", "namespaces"))
}

func TestUninstallKeepsUsersObjects(t *testing.T) {
	t.Parallel()
	kept := 0
	for key, o := range byHelm(t, minimal, "default") {
		if kind := o["kind"]; kind == "Namespace" || kind == "CustomResourceDefinition" {
			kept++
			require.Equal(t, "keep", at(o, "metadata", "annotations")["helm.sh/resource-policy"], key)
		}
	}
	require.Equal(t, 5, kept)
	values := maps.Clone(minimal)
	values["createNamespaces"], values["createKind"] = false, false
	for key := range byHelm(t, values, "default") {
		require.NotRegexp(t, `^(Namespace|CustomResourceDefinition)/`, key)
	}
}

func TestSchemaRefusesWrongValues(t *testing.T) {
	t.Parallel()
	for where, values := range map[string]object{
		"domain":     {},
		"replicas":   {"settings": object{"domain": "x"}, "replicas": 0},
		"namespaces": {"settings": object{"domain": "x"}, "namespaces": object{"worker": "Not A Name"}},
		"replica":    {"settings": object{"domain": "x"}, "replica": 3},
	} {
		_, err := render(values, "default")
		require.ErrorContains(t, err, where)
	}
}

func TestSettingsAndPodAreTheOperators(t *testing.T) {
	t.Parallel()
	values := maps.Clone(minimal)
	values["settings"] = object{"domain": "example.com", "controller": object{"networkPolicy": object{"enabled": false}}}
	values["image"] = object{"repository": "r/inner", "tag": "v1", "pullSecrets": []any{"pull"}}
	values["env"] = []any{object{"name": "INNER_COMBINATOR_RDB_DSN_FILE", "value": "/etc/inner/secrets/rdb-dsn"}}
	values["priorityClass"] = object{"create": false, "name": "existing"}
	values["tolerations"] = []any{object{"key": "control", "operator": "Exists"}}
	all := byHelm(t, values, "default")
	require.NotContains(t, all, "NetworkPolicy/worker/workers", "it would block pods that have no policy of their own")
	require.NotContains(t, all, "PriorityClass/<nil>/existing")
	document, err := yaml.Marshal(all["Deployment/console/inner-gateway"])
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(string(document), "image: r/inner:v1\n"))
	require.Equal(t, 2, strings.Count(string(document), "INNER_COMBINATOR_RDB_DSN_FILE"))
	for _, expected := range []string{"priorityClassName: existing\n", "- name: pull\n", "key: control\n"} {
		require.Contains(t, string(document), expected)
	}
}

func TestLintHasNoFinding(t *testing.T) {
	t.Parallel()
	result := lint.RunAll(chart, minimal, "default")
	for _, message := range result.Messages {
		if !strings.Contains(message.Error(), "icon is recommended") {
			t.Error(message)
		}
	}
}
