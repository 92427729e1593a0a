// Package workerapp is the WorkerApp resource: its Go type, its names and its place in the Kubernetes API.
//
// A seam of the controller: whoever writes WorkerApps (modules/workers) and whoever reconciles them
// (modules/controller) share this package and nothing else. Source of the fields: section 3 of the platform's contract.
package workerapp

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kind is the kind of the resource.
const Kind = "WorkerApp"

// GroupVersion returns console.app238.com/v1.
func GroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: "console.app238.com", Version: "v1"}
}

// Resource returns the resource's place in the API.
func Resource() schema.GroupVersionResource { return GroupVersion().WithResource("workerapps") }

// Annotations that tie a WorkerApp to the database rows that wished it. They are annotations because the fields of
// the spec are the contract's.
const (
	// VersionAnnotation holds worker_deploy_versions.id of the version that the spec describes.
	VersionAnnotation = "console.app238.com/version"
	// TaskAnnotation holds console_tasks.id of the task that wrote the WorkerApp last and awaits the outcome.
	TaskAnnotation = "console.app238.com/task"
	// AcceptedAnnotation holds when that task was accepted, as the database has it: it tells the task from another one to which
	// a restored database gave the same id.
	AcceptedAnnotation = "console.app238.com/accepted"
	// DatabaseAnnotation holds the id of the database that gave both ids. They compare with those of no other.
	DatabaseAnnotation = "console.app238.com/database"
)

// Origin is what ties a WorkerApp to the rows that wished it. Each field is zero where the object does not say: Accepted and
// Database where an earlier release wrote it.
type Origin struct {
	Version, Task      int64
	Accepted, Database string
}

// Finalizer keeps a WorkerApp until its objects in the ingress namespace are gone: no owner reference reaches there.
const Finalizer = "console.app238.com/ingress"

// Labels of every object that belongs to a worker.
const (
	// AppLabel holds the name of the WorkerApp; the pods' selector.
	AppLabel = "app"
	// WorkerLabel holds workers.wid.
	WorkerLabel = "worker-id"
	// OwnerLabel holds users.uid.
	OwnerLabel = "owner-id"
)

// Annotations of the objects of a worker with an id of 64 characters, which is one more than a label holds.
const (
	// WorkerAnnotation holds workers.wid where WorkerLabel cannot.
	WorkerAnnotation = "console.app238.com/worker-id"
	// OwnerAnnotation holds users.uid where OwnerLabel cannot.
	OwnerAnnotation = "console.app238.com/owner-id"
)

// Defaults of fields that the database or an old object leaves empty.
const (
	DefaultCPU      = "1"
	DefaultMemory   = "500Mi"
	DefaultDisk     = "2Gi"
	DefaultReplicas = 1
	// GlobalRegion is, like the empty string, no region at all.
	GlobalRegion = "global"
)

// WorkerApp is one worker in the cluster.
type WorkerApp struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   Spec   `json:"spec"`
	Status Status `json:"status,omitempty"`
}

// Spec is what is wished. It never holds a secret: the field ownerSK of old objects is not read, and the controller removes it.
type Spec struct {
	WorkerID       string `json:"workerID"`
	OwnerID        string `json:"ownerID"`
	Image          string `json:"image"`
	Port           int64  `json:"port"`
	AssignedCPU    string `json:"assignedCPU,omitempty"`
	AssignedMemory string `json:"assignedMemory,omitempty"`
	AssignedDisk   string `json:"assignedDisk,omitempty"`
	MaxReplicas    int64  `json:"maxReplicas,omitempty"`
	MainRegion     string `json:"mainRegion,omitempty"`
}

// WithDefaults returns the spec with the contract's defaults in the places left empty.
func (s Spec) WithDefaults() Spec {
	if s.AssignedCPU == "" {
		s.AssignedCPU = DefaultCPU
	}
	if s.AssignedMemory == "" {
		s.AssignedMemory = DefaultMemory
	}
	if s.AssignedDisk == "" {
		s.AssignedDisk = DefaultDisk
	}
	if s.MaxReplicas == 0 {
		s.MaxReplicas = DefaultReplicas
	}
	if s.MainRegion == GlobalRegion {
		s.MainRegion = ""
	}
	return s
}

// Phase is a WorkerApp's state in one word.
type Phase string

// The phases.
const (
	// Deploying: the pods of the wished version are not all serving yet.
	Deploying Phase = "Deploying"
	// Running: the rollout of the wished version is complete.
	Running Phase = "Running"
	// Failed: the rollout cannot complete without a change from outside; the message says why.
	Failed Phase = "Failed"
)

// Condition types of Status.Conditions, in the kstatus convention, and one of our own.
const (
	ReadyCondition       = "Ready"
	ReconcilingCondition = "Reconciling"
	StalledCondition     = "Stalled"
	// RecordedCondition is True once the database rows carry the outcome that the status shows.
	RecordedCondition = "Recorded"
)

// Status is what is. It is written by the controller alone, through the status subresource.
type Status struct {
	Phase              Phase  `json:"phase,omitempty"`
	Message            string `json:"message,omitempty"`
	ObservedGeneration int64  `json:"observedGeneration,omitempty"`
	// Version, Task and Database repeat the annotations that the status is about.
	Version    int64              `json:"version,omitempty"`
	Task       int64              `json:"task,omitempty"`
	Database   string             `json:"database,omitempty"`
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
