package workerapp

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"app238.com/inner/app/config"
	"app238.com/inner/app/identifier"
	"app238.com/inner/app/logging"
)

// Validate returns an error that names every invalid field in a fixed order and what each must be; nil if the controller can
// build the worker's objects. The text goes into the status and to the worker's owner.
func (w *WorkerApp) Validate() error {
	s := w.Spec.WithDefaults()
	var causes []string
	add := func(field string, err error) {
		if err != nil {
			causes = append(causes, "spec."+field+": "+err.Error())
		}
	}
	workerErr, ownerErr := validateID(s.WorkerID), validateID(s.OwnerID)
	add("workerID", workerErr)
	add("ownerID", ownerErr)
	if name := Name(s.WorkerID, s.OwnerID); workerErr == nil && ownerErr == nil && name != w.Name {
		causes = append(causes, "metadata.name: must be "+name+" for this spec.workerID and spec.ownerID")
	}
	add("image", validateImage(s.Image))
	if s.Port < 1 || s.Port > 65535 {
		add("port", fmt.Errorf("%d is not a TCP port; it must be 1 to 65535", s.Port))
	}
	add("assignedCPU", validateQuantity(s.AssignedCPU, "500m or 1"))
	add("assignedMemory", validateQuantity(s.AssignedMemory, "500Mi or 1Gi"))
	add("assignedDisk", validateQuantity(s.AssignedDisk, "500Mi or 2Gi"))
	if s.MaxReplicas < 0 || s.MaxReplicas > math.MaxInt32 {
		add("maxReplicas", fmt.Errorf("%d is not a number of pods; it must be 1 or more", s.MaxReplicas))
	}
	if len(validation.IsValidLabelValue(s.MainRegion)) > 0 {
		add("mainRegion", fmt.Errorf("%s cannot be a region; it must be the value of a node's label %s", quote(s.MainRegion),
			"topology.kubernetes.io/region"))
	}
	if len(causes) == 0 {
		return nil
	}
	return errors.New(strings.Join(causes, "; "))
}

// validateID returns an error without the field's name.
func validateID(id string) error {
	err := identifier.Check("", id)
	if err == nil {
		return nil
	}
	return errors.New(strings.TrimPrefix(err.Error(), ": "))
}

func validateImage(image string) error {
	if image == "" {
		return errors.New("required, like registry.example.com/team/program:tag")
	}
	for _, r := range image {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return fmt.Errorf("%s must not hold white space", quote(image))
		}
	}
	return nil
}

func validateQuantity(value, example string) error {
	q, err := resource.ParseQuantity(value)
	switch {
	case err != nil:
		return fmt.Errorf("%s is not a quantity; write it like %s", quote(value), example)
	case q.Sign() <= 0:
		return fmt.Errorf("%s must be more than zero; write it like %s", quote(value), example)
	}
	return nil
}

func quote(value string) string { return fmt.Sprintf("%q", logging.Clip(value, maxShownLength)) }

// CheckLimits returns an error that names every field above the operator's limit by its column name. It ignores malformed
// quantities, which Validate reports.
func (s Spec) CheckLimits(limits config.Limits) error {
	var causes []string
	exceeds := func(field, value, setting, limit string) {
		causes = append(causes,
			fmt.Sprintf("%s: %s is more than %s, the most that a worker can have (controller.limits.%s)", field, value, limit, setting))
	}
	for _, q := range []struct{ field, value, setting, limit string }{
		{"assigned_cpu", s.AssignedCPU, "cpu", limits.CPU},
		{"assigned_memory", s.AssignedMemory, "memory", limits.Memory},
		{"assigned_disk", s.AssignedDisk, "disk", limits.Disk},
	} {
		most, err := resource.ParseQuantity(q.limit)
		if err != nil {
			return fmt.Errorf("controller.limits.%s: %w", q.setting, err)
		}
		if value, err := resource.ParseQuantity(q.value); err == nil && value.Cmp(most) > 0 {
			exceeds(q.field, q.value, q.setting, q.limit)
		}
	}
	if s.MaxReplicas > limits.Replicas {
		exceeds("max_replicas", fmt.Sprint(s.MaxReplicas), "replicas", fmt.Sprint(limits.Replicas))
	}
	if len(causes) == 0 {
		return nil
	}
	return errors.New(strings.Join(causes, "; "))
}
