// Package content decides what a worker's pods find in their environment: what of it is known from the cluster, what is
// reserved for the platform, and by which hash a change of it is noticed.
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

// Reserved returns the reserved keys with their values for a worker of ownerID.
func Reserved(ownerID, secretKey, combinatorNamespace string) map[string][]byte {
	return map[string][]byte{
		EndpointKey:  []byte("http://combinator." + combinatorNamespace + ".svc.cluster.local:8899"),
		OwnerKey:     []byte(ownerID),
		SecretKeyKey: []byte(secretKey),
	}
}

// Known returns the content as the cluster holds it, and whether that may be relied on: both objects are there and
// complete, they hold the content of the WorkerApp's task, as the ConfigMap notes or as that it runs or has run proves, and nobody
// edited the ConfigMap or the owner's key since.
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

// notes tells whether the ConfigMap notes the task that the WorkerApp is at.
func hasOrigin(configMap *corev1.ConfigMap, app *workerapp.WorkerApp) bool {
	for _, key := range []string{workerapp.TaskAnnotation, workerapp.DatabaseAnnotation} {
		if configMap.Annotations[key] != app.Annotations[key] {
			return false
		}
	}
	return true
}

// Noted returns the annotations with the task that the ConfigMap with the content of that hash is to note. Where the spec that runs
// and the content stay as they are, an earlier task stays noted: the status will tell that the new one runs, and that is one
// write less.
func OriginFor(app *workerapp.WorkerApp, configMap *corev1.ConfigMap, hash string) map[string]string {
	runs := app.Status.Phase == workerapp.Running && app.Status.ObservedGeneration == app.Generation
	if runs && configMap != nil && configMap.Annotations[children.ContentAnnotation] == hash {
		return configMap.Annotations
	}
	return app.Annotations
}

// Environment returns the user's environment without the reserved keys. An error names the first variable that no pod can
// have; it never tells a value.
func Environment(env map[string]string) (map[string]string, error) {
	clean := maps.Clone(env)
	for _, key := range workerapp.ReservedKeys() {
		delete(clean, key)
	}
	return clean, workerapp.CheckVariables(clean)
}

// Merge returns the Secret's data as it will be: the reserved keys over what is found, whose other keys are the user's.
func Merge(existing *corev1.Secret, reserved map[string][]byte) map[string][]byte {
	merged := map[string][]byte{}
	if existing != nil {
		maps.Copy(merged, existing.Data)
	}
	maps.Copy(merged, reserved)
	return merged
}
