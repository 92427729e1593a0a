package job_test

import (
	"context"
	"errors"
	"fmt"

	"app238.com/inner/modules/tasks/job"
)

// greeting is the payload of the job type "example.greet".
type greeting struct {
	Name string `json:"name"`
}

func (g greeting) Validate() error {
	if g.Name == "" {
		return errors.New("name: required")
	}
	return nil
}

func (g greeting) OrderingKey() string { return "greeting/" + g.Name }

type greet struct{}

func (greet) Execute(_ context.Context, task job.Task, g greeting) error {
	if task.Attempt == 1 {
		return job.NewRetry("the first attempt fails", nil)
	}
	fmt.Println("hello,", g.Name)
	return nil
}

func (greet) OnDiscarded(_ context.Context, _ job.Task, g greeting, reason string) error {
	fmt.Printf("no greeting for %s: %s\n", g.Name, reason)
	return nil
}

// A module registers the definition with fx.Provide(job.As(...)); the queue calls what is called here.
func ExampleDefine() {
	definition := job.Define(job.Spec{Type: "example.greet", Attempts: 3}, greet{})
	_, err := definition.Prepare([]byte(`{"name":""}`))
	fmt.Println(err)
	task, err := definition.Prepare([]byte(`{"name":"Ada"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(task.OrderingKey)
	ctx := context.Background()
	fmt.Println(task.Execute(ctx, job.Task{ID: 1, Type: definition.Type, Attempt: 1}))
	fmt.Println(task.Execute(ctx, job.Task{ID: 1, Type: definition.Type, Attempt: 2}))
	fmt.Println(task.OnDiscarded(ctx, job.Task{ID: 1, Type: definition.Type, Attempt: 2}, "cancelled"))
	// Output:
	// task_info.name: required
	// greeting/Ada
	// the first attempt fails
	// hello, Ada
	// <nil>
	// no greeting for Ada: cancelled
	// <nil>
}
