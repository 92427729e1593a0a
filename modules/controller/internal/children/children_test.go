package children_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/workerapp"
)

const name = "w-abc12345-u1"

type bundle struct {
	app     *workerapp.WorkerApp
	builder children.Builder
}

func setup(change func(app *workerapp.WorkerApp)) bundle {
	app := &workerapp.WorkerApp{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "workers", UID: "uid-1", Annotations: map[string]string{
			workerapp.VersionAnnotation: "7", workerapp.TaskAnnotation: "42", "other": "x",
		}},
		Spec: workerapp.Spec{WorkerID: "abc12345", OwnerID: "u1", Image: "registry.test/app:1", Port: 8080,
			AssignedCPU: "1500m", AssignedMemory: "1024Mi", AssignedDisk: "1Gi", MaxReplicas: 2},
	}
	if change != nil {
		change(app)
	}
	return bundle{app: app, builder: children.Builder{
		Domain: "example.org", WorkerNamespace: "workers", IngressNamespace: "edge", CombinatorNamespace: "combinator",
		ProgressDeadline: 90 * time.Second,
		Pods:             config.Pods{StopDelay: 5 * time.Second, StopGrace: 20 * time.Second},
		NetworkPolicy: config.NetworkPolicy{Enabled: true, DNSNamespace: "dns", DNSNetworks: []string{"169.254.20.10/32"},
			PrivateNetworks: []string{"10.0.0.0/8", "fc00::/7"}},
	}}
}

// as converts a child to its typed object.
func as[T any](t *testing.T, c children.Child, err error) T {
	t.Helper()
	require.NoError(t, err)
	var typed T
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(c.Object.Object, &typed))
	return typed
}

func requireMeta(t *testing.T, o metav1.Object, namespace, name string, owned bool) {
	t.Helper()
	require.Equal(t, namespace, o.GetNamespace())
	require.Equal(t, name, o.GetName())
	require.Equal(t, map[string]string{"app": "w-abc12345-u1", "worker-id": "abc12345", "owner-id": "u1"}, o.GetLabels())
	require.NotEmpty(t, o.GetAnnotations()[children.AppliedAnnotation])
	if !owned {
		require.Empty(t, o.GetOwnerReferences(), "owner references cannot cross namespaces")
		return
	}
	controller := true
	require.Equal(t, []metav1.OwnerReference{{APIVersion: "console.app238.com/v1", Kind: "WorkerApp", Name: "w-abc12345-u1",
		UID: "uid-1", Controller: &controller, BlockOwnerDeletion: &controller}}, o.GetOwnerReferences())
}

func TestEnvironmentObjects(t *testing.T) {
	t.Parallel()
	b := setup(nil)
	c, err := b.builder.ConfigMap(b.app, map[string]string{"A": "1"}, "hash", b.app.Annotations)
	configMap := as[corev1.ConfigMap](t, c, err)
	requireMeta(t, &configMap, "workers", name+"-env", true)
	require.Equal(t, map[string]string{"A": "1"}, configMap.Data)
	require.Equal(t, "hash", configMap.Annotations[children.ContentAnnotation])
	require.Equal(t, "42", configMap.Annotations[workerapp.TaskAnnotation])

	c, err = b.builder.Secret(b.app, map[string][]byte{"RAYSAIL_SECRET_KEY": []byte("sk_1")})
	secret := as[corev1.Secret](t, c, err)
	requireMeta(t, &secret, "workers", name+"-secret", true)
	require.Equal(t, map[string][]byte{"RAYSAIL_SECRET_KEY": []byte("sk_1")}, secret.Data)
	require.False(t, c.Replaceable, "the user's secrets are stored nowhere else")
}

func TestSecretHashIsIndependentOfValues(t *testing.T) {
	t.Parallel()
	b := setup(nil)
	one, err := b.builder.Secret(b.app, map[string][]byte{"K": []byte("1")})
	require.NoError(t, err)
	two, err := b.builder.Secret(b.app, map[string][]byte{"K": []byte("2")})
	require.NoError(t, err)
	require.Equal(t, one.Object.GetAnnotations(), two.Object.GetAnnotations())
}

func TestDeployment(t *testing.T) {
	t.Parallel()
	b := setup(func(app *workerapp.WorkerApp) { app.Spec.MainRegion = "eu-1" })
	c, err := b.builder.Deployment(b.app, "content", children.Replicas(b.app))
	d := as[appsv1.Deployment](t, c, err)
	requireMeta(t, &d, "workers", name, true)
	for _, key := range []string{workerapp.VersionAnnotation, workerapp.TaskAnnotation, "other"} {
		require.NotContains(t, d.Annotations, key, "a new version of the same image changes nothing")
	}
	require.EqualValues(t, 2, *d.Spec.Replicas)
	require.EqualValues(t, 90, *d.Spec.ProgressDeadlineSeconds)
	require.Equal(t, map[string]string{"app": name}, d.Spec.Selector.MatchLabels)
	require.Equal(t, intstr.FromInt32(0), *d.Spec.Strategy.RollingUpdate.MaxUnavailable)
	require.Equal(t, intstr.FromInt32(1), *d.Spec.Strategy.RollingUpdate.MaxSurge)

	template := d.Spec.Template
	require.Equal(t, d.Labels, template.Labels)
	require.Equal(t, map[string]string{children.ContentAnnotation: "content", children.TemplateAnnotation: templateHash(t, c)},
		template.Annotations)
	require.NotEmpty(t, templateHash(t, c))
	require.False(t, *template.Spec.AutomountServiceAccountToken)
	require.False(t, *template.Spec.EnableServiceLinks)
	require.Len(t, template.Spec.Containers, 1)
	container := template.Spec.Containers[0]
	require.Equal(t, name, container.Name)
	require.Equal(t, "registry.test/app:1", container.Image)
	require.Equal(t, name+"-env", container.EnvFrom[0].ConfigMapRef.Name, "the Secret comes last and wins")
	require.Equal(t, name+"-secret", container.EnvFrom[1].SecretRef.Name)
	require.EqualValues(t, 8080, container.Ports[0].ContainerPort)
	require.Equal(t, intstr.FromInt32(8080), container.ReadinessProbe.TCPSocket.Port)
	require.Equal(t, container.Resources.Requests, container.Resources.Limits)
	for key, want := range map[corev1.ResourceName]string{"cpu": "1500m", "memory": "1Gi", "ephemeral-storage": "1Gi"} {
		quantity := container.Resources.Limits[key]
		require.Zero(t, quantity.Cmp(resource.MustParse(want)), key)
	}
}

func TestPlacement(t *testing.T) {
	t.Parallel()
	b := setup(func(app *workerapp.WorkerApp) { app.Spec.MainRegion = "eu-1" })
	c, err := b.builder.Deployment(b.app, "content", children.Replicas(b.app))
	affinity := as[appsv1.Deployment](t, c, err).Spec.Template.Spec.Affinity
	require.Equal(t, &corev1.PodAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{
		Weight: 100, PodAffinityTerm: corev1.PodAffinityTerm{
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "combinator"}},
			Namespaces:    []string{"combinator"}, TopologyKey: "kubernetes.io/hostname",
		}}}}, affinity.PodAffinity)
	require.Equal(t, []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{
		Key: "topology.kubernetes.io/region", Operator: corev1.NodeSelectorOpIn, Values: []string{"eu-1"}}}}},
		affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms)

	for _, region := range []string{"", "global"} {
		b = setup(func(app *workerapp.WorkerApp) { app.Spec.MainRegion = region })
		c, err = b.builder.Deployment(b.app, "content", children.Replicas(b.app))
		require.Nil(t, as[appsv1.Deployment](t, c, err).Spec.Template.Spec.Affinity.NodeAffinity)
	}
}

func TestEmptyFieldsGetDefaults(t *testing.T) {
	t.Parallel()
	b := setup(func(app *workerapp.WorkerApp) {
		app.Spec.AssignedCPU, app.Spec.AssignedMemory, app.Spec.AssignedDisk, app.Spec.MaxReplicas = "", "", "", 0
	})
	c, err := b.builder.Deployment(b.app, "content", children.Replicas(b.app))
	d := as[appsv1.Deployment](t, c, err)
	require.EqualValues(t, 1, *d.Spec.Replicas)
	for key, want := range map[corev1.ResourceName]string{"cpu": "1", "memory": "500Mi", "ephemeral-storage": "2Gi"} {
		quantity := d.Spec.Template.Spec.Containers[0].Resources.Limits[key]
		require.Zero(t, quantity.Cmp(resource.MustParse(want)), key)
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	b := setup(nil)
	c, err := b.builder.Service(b.app, children.Migrated())
	service := as[corev1.Service](t, c, err)
	requireMeta(t, &service, "workers", name+"-http", true)
	require.Empty(t, service.Spec.ClusterIP, "the API server assigns one")
	require.Equal(t, map[string]string{"app": name}, service.Spec.Selector)
	require.Equal(t, []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP,
		TargetPort: intstr.FromString("http")}}, service.Spec.Ports)

	c, err = b.builder.External(b.app, children.Migrated())
	external := as[corev1.Service](t, c, err)
	requireMeta(t, &external, "edge", name+"-ext", false)
	require.Equal(t, corev1.ServiceTypeExternalName, external.Spec.Type)
	require.Equal(t, "w-abc12345-u1-http.workers.svc.cluster.local", external.Spec.ExternalName)
	require.Equal(t, []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}}, external.Spec.Ports)
	require.False(t, children.PointsToLegacy(&external, "workers"))
	require.True(t, b.builder.PointsToWorkers(&external))
	external.Spec.ExternalName = "w-abc12345-u1.elsewhere.svc.cluster.local"
	require.False(t, b.builder.PointsToWorkers(&external))

	c, err = b.builder.Route(b.app, children.Migrated())
	require.NoError(t, err)
	requireMeta(t, c.Object, "edge", name, false)
	require.Equal(t, "traefik.io/v1alpha1", c.Object.GetAPIVersion())
	require.Equal(t, "IngressRoute", c.Object.GetKind())
	spec, err := json.Marshal(c.Object.Object["spec"])
	require.NoError(t, err)
	require.JSONEq(t, `{"entryPoints": ["websecure"], "tls": {"secretName": "worker-tls"}, "routes": [{"kind": "Rule",
		"match": "Host(`+"`abc12345.worker.example.org`) || Host(`abc12345-u1.worker.example.org`) || Host(`w-abc12345-u1.worker.example.org`"+`)",
		"services": [{"name": "w-abc12345-u1-ext", "port": 80}]}]}`, string(spec))
	require.EqualValues(t, 80, children.RoutePort(c.Object))
}

func TestRouteAloneIdentifiesItsPlatform(t *testing.T) {
	t.Parallel()
	b := setup(nil)
	c, err := b.builder.External(b.app, children.Migrated())
	ours := as[corev1.Service](t, c, err)
	theirs := ours
	theirs.Spec.ExternalName = "w-abc12345-u1-http.elsewhere.svc.cluster.local"
	c, err = b.builder.Route(b.app, children.Migrated())
	require.NoError(t, err)
	route, old, other := c.Object, c.Object.DeepCopy(), c.Object.DeepCopy()
	old.SetAnnotations(nil)
	other.SetAnnotations(map[string]string{children.WorkersAnnotation: "elsewhere"})
	require.True(t, b.builder.Owns(&ours, nil))
	require.True(t, b.builder.Owns(&ours, route))
	require.True(t, b.builder.Owns(&ours, old), "of an earlier release")
	require.True(t, b.builder.Owns(nil, route))
	require.False(t, b.builder.Owns(nil, old))
	require.False(t, b.builder.Owns(nil, other))
	require.False(t, b.builder.Owns(&ours, other))
	require.False(t, b.builder.Owns(&theirs, route))
}

// templateHash returns the template hash of a built Deployment.
func templateHash(t *testing.T, deployment children.Child) string {
	t.Helper()
	hash, _, err := unstructured.NestedString(deployment.Object.Object, "spec", "template", "metadata", "annotations",
		children.TemplateAnnotation)
	require.NoError(t, err)
	return hash
}

func TestTemplateHashDependsOnPodTemplateOnly(t *testing.T) {
	t.Parallel()
	hash := func(content string, change func(app *workerapp.WorkerApp)) string {
		b := setup(change)
		c, err := b.builder.Deployment(b.app, content, children.Replicas(b.app))
		require.NoError(t, err)
		return templateHash(t, c)
	}
	base := hash("content", nil)
	require.Equal(t, base, hash("content", func(app *workerapp.WorkerApp) {
		app.Annotations[workerapp.TaskAnnotation], app.Annotations[workerapp.VersionAnnotation] = "43", "8"
		app.Spec.MaxReplicas, app.ResourceVersion = 5, "99"
	}))
	require.Equal(t, base, hash("content", func(app *workerapp.WorkerApp) { app.Spec.AssignedCPU = "1.5" }), "the same quantity")
	require.NotEqual(t, base, hash("other", nil))
	require.NotEqual(t, base, hash("content", func(app *workerapp.WorkerApp) { app.Spec.Image = "registry.test/app:2" }))
	require.NotEqual(t, base, hash("content", func(app *workerapp.WorkerApp) { app.Spec.Port = 8081 }))
}

func TestAppliedHashChangesWithEachDesiredField(t *testing.T) {
	t.Parallel()
	hash := func(change func(app *workerapp.WorkerApp)) string {
		b := setup(change)
		c, err := b.builder.Deployment(b.app, "content", children.Replicas(b.app))
		require.NoError(t, err)
		applied, _, err := unstructured.NestedString(c.Object.Object, "metadata", "annotations", children.AppliedAnnotation)
		require.NoError(t, err)
		return applied
	}
	base := hash(nil)
	require.Equal(t, base, hash(nil))
	require.NotEqual(t, base, hash(func(app *workerapp.WorkerApp) { app.Spec.MainRegion = "eu-1" }))
	require.NotEqual(t, base, hash(func(app *workerapp.WorkerApp) { app.Generation++ }))
	require.Equal(t, base, hash(func(app *workerapp.WorkerApp) { app.Annotations[workerapp.TaskAnnotation] = "43" }))
}

func TestEveryChildIsListedInWorkerappObjects(t *testing.T) {
	t.Parallel()
	b := setup(nil)
	var built []children.Child
	add := func(c children.Child, err error) {
		require.NoError(t, err)
		built = append(built, c)
	}
	add(b.builder.Policy(b.app))
	add(b.builder.Secret(b.app, nil))
	add(b.builder.ConfigMap(b.app, nil, "", nil))
	add(b.builder.Deployment(b.app, "", children.Replicas(b.app)))
	add(b.builder.Budget(b.app))
	add(b.builder.Service(b.app, children.Migrated()))
	add(b.builder.External(b.app, children.Migrated()))
	add(b.builder.Route(b.app, children.Migrated()))
	listed := workerapp.ChildKinds()
	require.Len(t, listed, len(built))
	for i, m := range built {
		require.Equal(t, listed[i].Resource, m.Resource)
		require.Equal(t, listed[i].Kind, m.Object.GetKind())
		require.Equal(t, listed[i].Ingress, m.Object.GetNamespace() == "edge")
		require.True(t, listed[i].Named(m.Object.GetName(), name))
		require.False(t, listed[i].Named(m.Object.GetName()+"x", name))
	}
}
