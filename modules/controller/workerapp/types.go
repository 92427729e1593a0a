// Package workerapp defines the WorkerApp resource: its Go type, its names, its validation and its place in the Kubernetes API.
//
// It is a seam: the module that writes WorkerApps (modules/workers) and the one that reconciles them (modules/controller) share
// this package and nothing else. Section 3 of the platform's contract defines the fields.
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

// Resource returns the resource of WorkerApps in the API.
func Resource() schema.GroupVersionResource { return GroupVersion().WithResource("workerapps") }

// Annotations that tie a WorkerApp to the database rows that it was written from. They are not fields of the spec, since the
// contract defines those.
const (
	// VersionAnnotation holds worker_deploy_versions.id of the version that the spec describes.
	VersionAnnotation = "console.app238.com/version"
	// TaskAnnotation holds console_tasks.id of the task that last wrote the WorkerApp and waits for the outcome.
	TaskAnnotation = "console.app238.com/task"
	// AcceptedAnnotation holds the accept time of that task as stored. It distinguishes the task from another one to which a
	// restored database gave the same id.
	AcceptedAnnotation = "console.app238.com/accepted"
	// DatabaseAnnotation holds the id of the database of both ids. Ids of different databases do not compare.
	DatabaseAnnotation = "console.app238.com/database"
)

// Origin identifies the rows that a WorkerApp was written from. Each field is zero if its annotation is missing: an earlier
// release wrote neither Accepted nor Database.
type Origin struct {
	Version, Task      int64
	Accepted, Database string
}

// Finalizer keeps a WorkerApp until its objects in the ingress namespace are deleted: owner references cannot cross namespaces.
const Finalizer = "console.app238.com/ingress"

// Labels of every object that belongs to a worker.
const (
	// AppLabel holds the name of the WorkerApp and is the pods' selector.
	AppLabel = "app"
	// WorkerLabel holds workers.wid.
	WorkerLabel = "worker-id"
	// OwnerLabel holds users.uid.
	OwnerLabel = "owner-id"
)

// Annotations of a worker's objects for ids of 64 characters, one more than a label can hold.
const (
	// WorkerAnnotation holds workers.wid if WorkerLabel cannot.
	WorkerAnnotation = "console.app238.com/worker-id"
	// OwnerAnnotation holds users.uid if OwnerLabel cannot.
	OwnerAnnotation = "console.app238.com/owner-id"
)

// Defaults of fields that are empty in the database or in an old object.
const (
	DefaultCPU      = "1"
	DefaultMemory   = "500Mi"
	DefaultDisk     = "2Gi"
	DefaultReplicas = 1
	// GlobalRegion means no region, like the empty string.
	GlobalRegion = "global"
)

// WorkerApp is the resource of one worker.
type WorkerApp struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   Spec   `json:"spec"`
	Status Status `json:"status,omitempty"`
}

// Spec is the desired state. It holds no secret: the controller removes the field ownerSK of old objects without reading it.
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

// WithDefaults returns the spec with the contract's defaults for empty fields.
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

// Phase summarizes the state of a WorkerApp.
type Phase string

// The phases.
const (
	// Deploying: not all pods of the desired version are ready yet.
	Deploying Phase = "Deploying"
	// Running: the rollout of the desired version is complete.
	Running Phase = "Running"
	// Failed: the rollout cannot complete without an external change; the message has the reason.
	Failed Phase = "Failed"
)

// Condition types of Status.Conditions: those of the kstatus convention, and Recorded.
const (
	ReadyCondition       = "Ready"
	ReconcilingCondition = "Reconciling"
	StalledCondition     = "Stalled"
	// RecordedCondition is True once the outcome in the status is recorded in the database.
	RecordedCondition = "Recorded"
)

// Status is the observed state. Only the controller writes it, through the status subresource.
type Status struct {
	Phase              Phase  `json:"phase,omitempty"`
	Message            string `json:"message,omitempty"`
	ObservedGeneration int64  `json:"observedGeneration,omitempty"`
	// Version, Task and Database are the annotations of the observed WorkerApp.
	Version    int64              `json:"version,omitempty"`
	Task       int64              `json:"task,omitempty"`
	Database   string             `json:"database,omitempty"`
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
