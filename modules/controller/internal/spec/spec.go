// Package spec checks what a WorkerApp wishes before anything is made of it.
package spec

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"app238.com/inner/app/identifier"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/controller/workerapp"
)

// shownLength is how much of a faulty value a message repeats.
const shownLength = 64

// Check returns nil when children can be made of the WorkerApp, else an error that names every faulty field in a fixed
// order and says what to mend. The text goes into the status and to the worker's owner.
func Check(app *workerapp.WorkerApp) error {
	s := app.Spec.WithDefaults()
	var causes []string
	add := func(field string, err error) {
		if err != nil {
			causes = append(causes, "spec."+field+": "+err.Error())
		}
	}
	workerErr, ownerErr := checkID(s.WorkerID), checkID(s.OwnerID)
	add("workerID", workerErr)
	add("ownerID", ownerErr)
	if name := workerapp.Name(s.WorkerID, s.OwnerID); workerErr == nil && ownerErr == nil && name != app.Name {
		causes = append(causes, "metadata.name: must be "+name+" for this spec.workerID and spec.ownerID")
	}
	add("image", checkImage(s.Image))
	if s.Port < 1 || s.Port > 65535 {
		add("port", fmt.Errorf("%d is not a TCP port; it must be 1 to 65535", s.Port))
	}
	add("assignedCPU", checkQuantity(s.AssignedCPU, "500m or 1"))
	add("assignedMemory", checkQuantity(s.AssignedMemory, "500Mi or 1Gi"))
	add("assignedDisk", checkQuantity(s.AssignedDisk, "500Mi or 2Gi"))
	if s.MaxReplicas < 0 || s.MaxReplicas > math.MaxInt32 {
		add("maxReplicas", fmt.Errorf("%d is not a number of pods; it must be 1 or more", s.MaxReplicas))
	}
	if len(validation.IsValidLabelValue(s.MainRegion)) > 0 {
		add("mainRegion", fmt.Errorf("%s cannot be a region; it must be the value of a node's label %s", show(s.MainRegion), "topology.kubernetes.io/region"))
	}
	if len(causes) == 0 {
		return nil
	}
	return errors.New(strings.Join(causes, "; "))
}

// checkID leaves the field's name to the caller.
func checkID(id string) error {
	err := identifier.Check("", id)
	if err == nil {
		return nil
	}
	return errors.New(strings.TrimPrefix(err.Error(), ": "))
}

func checkImage(image string) error {
	if image == "" {
		return errors.New("required, like registry.example.com/team/program:tag")
	}
	for _, r := range image {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return fmt.Errorf("%s must not hold white space", show(image))
		}
	}
	return nil
}

func checkQuantity(value, example string) error {
	q, err := resource.ParseQuantity(value)
	switch {
	case err != nil:
		return fmt.Errorf("%s is not a quantity; write it like %s", show(value), example)
	case q.Sign() <= 0:
		return fmt.Errorf("%s must be more than zero; write it like %s", show(value), example)
	}
	return nil
}

func show(value string) string { return fmt.Sprintf("%q", logging.Clip(value, shownLength)) }
