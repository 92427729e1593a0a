package children

import (
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"app238.com/inner/modules/controller/workerapp"
)

// ConfigMap builds the ConfigMap N-env with the pods' environment. contentHash is the hash of env, which reveals edits of the
// data. origin holds the annotations of the task of this content. Since the ConfigMap is written after the Secret, they mean that
// both are up to date.
func (b Builder) ConfigMap(app *workerapp.WorkerApp, env map[string]string, contentHash string,
	origin map[string]string) (Child, error) {
	annotations := map[string]string{ContentAnnotation: contentHash}
	copyAnnotation(annotations, origin, workerapp.TaskAnnotation)
	copyAnnotation(annotations, origin, workerapp.DatabaseAnnotation)
	c, err := child(app, ConfigMaps(), corev1ac.ConfigMap(workerapp.EnvName(app.Name), b.WorkerNamespace).
		WithAnnotations(annotations).
		WithOwnerReferences(owner(app)).WithData(env))
	c.Replaceable = true
	return c, err
}

// Secret builds the Secret N-secret with the reserved keys. Server-side apply keeps the user's keys in the same object.
func (b Builder) Secret(app *workerapp.WorkerApp, reserved map[string][]byte) (Child, error) {
	return child(app, Secrets(), corev1ac.Secret(workerapp.SecretName(app.Name), b.WorkerNamespace).
		WithOwnerReferences(owner(app)).WithData(reserved))
}

func copyAnnotation(to, from map[string]string, key string) {
	if value, ok := from[key]; ok {
		to[key] = value
	}
}
