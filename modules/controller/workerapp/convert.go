package workerapp

import (
	"cmp"
	"errors"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"

	"app238.com/inner/app/identifier"
)

// FromUnstructured converts to a WorkerApp. The error names spec fields with a wrong type. A malformed status, as old objects
// may have, is dropped: the controller derives it again.
func FromUnstructured(u *unstructured.Unstructured) (*WorkerApp, error) {
	app := &WorkerApp{TypeMeta: metav1.TypeMeta{APIVersion: u.GetAPIVersion(), Kind: u.GetKind()}}
	app.ObjectMeta = metav1.ObjectMeta{
		Name: u.GetName(), Namespace: u.GetNamespace(), UID: u.GetUID(), Generation: u.GetGeneration(),
		ResourceVersion: u.GetResourceVersion(), Labels: u.GetLabels(), Annotations: u.GetAnnotations(),
		Finalizers: u.GetFinalizers(), DeletionTimestamp: u.GetDeletionTimestamp(), CreationTimestamp: u.GetCreationTimestamp(),
	}
	if err := readSpec(u, &app.Spec); err != nil {
		return app, err
	}
	status, found, err := unstructured.NestedMap(u.Object, "status")
	if err == nil && found {
		if runtime.DefaultUnstructuredConverter.FromUnstructured(status, &app.Status) != nil {
			app.Status = Status{}
		}
	}
	return app, nil
}

// readSpec reads every well-formed field. The error names the others in a fixed order: it becomes a status, which must not
// change between reconciles.
func readSpec(u *unstructured.Unstructured, spec *Spec) error {
	var causes []string
	for _, f := range []struct {
		name   string
		target *string
	}{
		{"workerID", &spec.WorkerID}, {"ownerID", &spec.OwnerID}, {"image", &spec.Image},
		{"assignedCPU", &spec.AssignedCPU}, {"assignedMemory", &spec.AssignedMemory}, {"assignedDisk", &spec.AssignedDisk},
		{"mainRegion", &spec.MainRegion},
	} {
		value, _, err := unstructured.NestedString(u.Object, "spec", f.name)
		if err != nil {
			causes = append(causes, "spec."+f.name+": must be a string")
		}
		*f.target = value
	}
	for _, f := range []struct {
		name   string
		target *int64
	}{{"port", &spec.Port}, {"maxReplicas", &spec.MaxReplicas}} {
		value, _, err := unstructured.NestedInt64(u.Object, "spec", f.name)
		if err != nil {
			causes = append(causes, "spec."+f.name+": must be an integer")
		}
		*f.target = value
	}
	if len(causes) == 0 {
		return nil
	}
	return errors.New(strings.Join(causes, "; "))
}

// ToApply returns the apply configuration of a WorkerApp, without status.
func ToApply(namespace string, spec Spec, origin Origin) *unstructured.Unstructured {
	content := map[string]any{
		"workerID": spec.WorkerID, "ownerID": spec.OwnerID, "image": spec.Image, "port": spec.Port,
		"assignedCPU": spec.AssignedCPU, "assignedMemory": spec.AssignedMemory, "assignedDisk": spec.AssignedDisk,
		"maxReplicas": spec.MaxReplicas,
	}
	if spec.MainRegion != "" {
		content["mainRegion"] = spec.MainRegion
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": content}}
	u.SetGroupVersionKind(GroupVersion().WithKind(Kind))
	u.SetNamespace(namespace)
	u.SetName(Name(spec.WorkerID, spec.OwnerID))
	u.SetLabels(Labels(spec.WorkerID, spec.OwnerID))
	u.SetFinalizers([]string{Finalizer})
	annotations := map[string]string{
		VersionAnnotation: strconv.FormatInt(origin.Version, 10),
		TaskAnnotation:    strconv.FormatInt(origin.Task, 10),
	}
	if origin.Database != "" {
		annotations[AcceptedAnnotation], annotations[DatabaseAnnotation] = origin.Accepted, origin.Database
	}
	u.SetAnnotations(annotations)
	return u
}

// Labels returns the labels of every object of a worker.
func Labels(workerID, ownerID string) map[string]string {
	return map[string]string{
		AppLabel:    Name(workerID, ownerID),
		WorkerLabel: labelValue(workerID),
		OwnerLabel:  labelValue(ownerID),
	}
}

// SetIDs sets the labels of an object of a worker, and an annotation for each id that is too long for a label.
func SetIDs(o metav1.Object, workerID, ownerID string) {
	o.SetLabels(Labels(workerID, ownerID))
	annotations := o.GetAnnotations()
	for key, id := range map[string]string{WorkerAnnotation: workerID, OwnerAnnotation: ownerID} {
		if labelValue(id) != id {
			if annotations == nil {
				annotations = map[string]string{}
			}
			annotations[key] = id
		}
	}
	o.SetAnnotations(annotations)
}

// IDs returns the ids that SetIDs set. They are not to be trusted unless Name of them is the object's name.
func IDs(o metav1.Object) (workerID, ownerID string) {
	labels, annotations := o.GetLabels(), o.GetAnnotations()
	return cmp.Or(annotations[WorkerAnnotation], labels[WorkerLabel]), cmp.Or(annotations[OwnerAnnotation], labels[OwnerLabel])
}

// labelValue returns id, shortened with a hash if it is too long for a label.
func labelValue(id string) string {
	style := identifier.Style{Separator: "-", Limit: validation.LabelValueMaxLength}
	if len(id) <= style.Limit {
		return id
	}
	return style.Name("", id)
}

// OriginOf returns the origin in the annotations of a WorkerApp.
func OriginOf(annotations map[string]string) Origin {
	return Origin{
		Version: Version(annotations), Task: Task(annotations),
		Accepted: annotations[AcceptedAnnotation], Database: annotations[DatabaseAnnotation],
	}
}

// Version returns the deploy version of a WorkerApp from its annotations; 0 if there is none.
func Version(annotations map[string]string) int64 { return number(annotations[VersionAnnotation]) }

// Task returns the task that waits for the WorkerApp's outcome; 0 if there is none.
func Task(annotations map[string]string) int64 { return number(annotations[TaskAnnotation]) }

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
