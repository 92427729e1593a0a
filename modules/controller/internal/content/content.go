// Package content decides the environment of a worker's pods: which of it the cluster already holds, which keys are reserved for
// the platform, and which hash detects a change. It is pure.
package content

import (
	"maps"

	corev1 "k8s.io/api/core/v1"

	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/internal/conditions"
	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/controller/workerapp"
)

// The reserved keys.
const (
	EndpointKey  = workerapp.EndpointKey
	OwnerKey     = workerapp.OwnerKey
	SecretKeyKey = workerapp.SecretKeyKey
)

// Reserved returns the reserved keys and values for a worker of ownerID.
func Reserved(ownerID, secretKey, combinatorNamespace string) map[string][]byte {
	return map[string][]byte{
		EndpointKey:  []byte("http://combinator." + combinatorNamespace + ".svc.cluster.local:8899"),
		OwnerKey:     []byte(ownerID),
		SecretKeyKey: []byte(secretKey),
	}
}

// Known returns the content in the cluster, and whether it is reliable: both objects exist and are complete, they hold the
// content of the WorkerApp's task by the ConfigMap's annotations or since that task runs or has run, and neither the ConfigMap
// nor the owner's key was edited.
func Known(app *workerapp.WorkerApp, configMap *corev1.ConfigMap, secret *corev1.Secret) (rollout.Content, bool) {
	if configMap == nil || secret == nil || len(configMap.BinaryData) > 0 {
		return rollout.Content{}, false
	}
	for _, key := range []string{EndpointKey, OwnerKey, SecretKeyKey} {
		if _, ok := secret.Data[key]; !ok {
			return rollout.Content{}, false
		}
	}
	previous, same := conditions.Previous(app)
	ran := same && (previous.Phase == workerapp.Running || conditions.HasRun(app))
	if !ran && !hasOrigin(configMap, app) {
		return rollout.Content{}, false
	}
	secretKey := string(secret.Data[SecretKeyKey])
	if configMap.Annotations[children.ContentAnnotation] != ConfigHash(secretKey, configMap.Data) {
		return rollout.Content{}, false
	}
	return rollout.Content{Env: configMap.Data, SecretKey: secretKey}, true
}

// hasOrigin reports whether the ConfigMap's annotations have the WorkerApp's task.
func hasOrigin(configMap *corev1.ConfigMap, app *workerapp.WorkerApp) bool {
	for _, key := range []string{workerapp.TaskAnnotation, workerapp.DatabaseAnnotation} {
		if configMap.Annotations[key] != app.Annotations[key] {
			return false
		}
	}
	return true
}

// OriginFor returns the annotations with the task for the ConfigMap with this content hash. If neither the running spec nor the
// content changes, the earlier task stays: the status will show that the new one runs, and one write is saved.
func OriginFor(app *workerapp.WorkerApp, configMap *corev1.ConfigMap, hash string) map[string]string {
	runs := app.Status.Phase == workerapp.Running && app.Status.ObservedGeneration == app.Generation
	if runs && configMap != nil && configMap.Annotations[children.ContentAnnotation] == hash {
		return configMap.Annotations
	}
	return app.Annotations
}

// Environment returns the user's environment without the reserved keys. The error names the first invalid variable, and never
// holds a value.
func Environment(env map[string]string) (map[string]string, error) {
	clean := maps.Clone(env)
	for _, key := range workerapp.ReservedKeys() {
		delete(clean, key)
	}
	return clean, workerapp.CheckVariables(clean)
}

// Merge returns the data of the existing Secret, whose other keys are the user's, with the reserved keys set.
func Merge(existing *corev1.Secret, reserved map[string][]byte) map[string][]byte {
	merged := map[string][]byte{}
	if existing != nil {
		maps.Copy(merged, existing.Data)
	}
	maps.Copy(merged, reserved)
	return merged
}
