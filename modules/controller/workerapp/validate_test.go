package workerapp_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/controller/workerapp"
)

func validApp(change func(app *workerapp.WorkerApp)) *workerapp.WorkerApp {
	app := &workerapp.WorkerApp{Spec: workerapp.Spec{WorkerID: "abc12345", OwnerID: "u1", Image: "nginx:1", Port: 8080}}
	app.Name = workerapp.Name("abc12345", "u1")
	if change != nil {
		change(app)
	}
	return app
}

func TestValidateNeedsRequiredFieldsOnly(t *testing.T) {
	t.Parallel()
	require.NoError(t, validApp(nil).Validate())
	require.NoError(t, validApp(func(app *workerapp.WorkerApp) {
		app.Spec.AssignedCPU, app.Spec.AssignedMemory, app.Spec.AssignedDisk = "250m", "1Gi", "1e9"
		app.Spec.MaxReplicas, app.Spec.MainRegion = 3, "eu-west.1"
	}).Validate())
}

func TestValidateNamesInvalidField(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(app *workerapp.WorkerApp)
		begin  string
	}{
		"cpu": {func(a *workerapp.WorkerApp) { a.Spec.AssignedCPU = "abc" },
			`spec.assignedCPU: "abc" is not a quantity; write it like 500m or 1`},
		"cpu zero":         {func(a *workerapp.WorkerApp) { a.Spec.AssignedCPU = "0" }, `spec.assignedCPU: "0" must be more than zero`},
		"memory negative":  {func(a *workerapp.WorkerApp) { a.Spec.AssignedMemory = "-1Gi" }, `spec.assignedMemory: "-1Gi" must be`},
		"memory unit":      {func(a *workerapp.WorkerApp) { a.Spec.AssignedMemory = "5GB" }, `spec.assignedMemory: "5GB" is not`},
		"disk":             {func(a *workerapp.WorkerApp) { a.Spec.AssignedDisk = "2 Gi" }, `spec.assignedDisk: "2 Gi" is not`},
		"port low":         {func(a *workerapp.WorkerApp) { a.Spec.Port = 0 }, "spec.port: 0 is not a TCP port"},
		"port high":        {func(a *workerapp.WorkerApp) { a.Spec.Port = 70000 }, "spec.port: 70000 is not a TCP port"},
		"image":            {func(a *workerapp.WorkerApp) { a.Spec.Image = "" }, "spec.image: required"},
		"image blank":      {func(a *workerapp.WorkerApp) { a.Spec.Image = "a b" }, `spec.image: "a b" must not hold white space`},
		"image line break": {func(a *workerapp.WorkerApp) { a.Spec.Image = "a\n" }, `spec.image: "a\n" must not`},
		"replicas":         {func(a *workerapp.WorkerApp) { a.Spec.MaxReplicas = -1 }, "spec.maxReplicas: -1 is not"},
		"replicas high":    {func(a *workerapp.WorkerApp) { a.Spec.MaxReplicas = 1 << 40 }, "spec.maxReplicas: "},
		"region": {func(a *workerapp.WorkerApp) { a.Spec.MainRegion = "eu west" },
			`spec.mainRegion: "eu west" cannot be a region`},
		"worker": {func(a *workerapp.WorkerApp) { a.Spec.WorkerID = "" }, "spec.workerID: required"},
		"owner":  {func(a *workerapp.WorkerApp) { a.Spec.OwnerID = "a'b" }, "spec.ownerID: must consist of"},
		"name":   {func(a *workerapp.WorkerApp) { a.Name = "w-other-u1" }, "metadata.name: must be w-abc12345-u1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := validApp(test.change).Validate()
			require.Error(t, err)
			require.True(t, strings.HasPrefix(err.Error(), test.begin), err.Error())
		})
	}
}

func TestValidateErrorsAreInFixedOrder(t *testing.T) {
	t.Parallel()
	app := validApp(func(a *workerapp.WorkerApp) { a.Spec.AssignedCPU, a.Spec.Port = strings.Repeat("ü", 500), -1 })
	first := app.Validate()
	require.ErrorContains(t, first, "spec.port: ")
	require.ErrorContains(t, first, "; spec.assignedCPU: ")
	require.Less(t, len(first.Error()), 400, "a long value is cut")
	for range 20 {
		require.EqualError(t, app.Validate(), first.Error())
	}
}
