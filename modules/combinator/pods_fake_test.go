package combinator_test

import (
	"context"
	"sync"

	"app238.com/inner/app/kube"
	"app238.com/inner/modules/combinator/internal/engine"
)

// fakePods are pods that answer as the test says.
type fakePods struct {
	mu      sync.Mutex
	running []kube.Pod
	answer  func(kube.Pod) error
	told    []string
}

func (p *fakePods) Running(context.Context) ([]kube.Pod, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running, nil
}

func (p *fakePods) Tell(_ context.Context, pod kube.Pod, kind string, r engine.Resource) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, pod.Name+" "+kind+" "+r.UserUID+"/"+r.ResourceID)
	if p.answer == nil {
		return nil
	}
	return p.answer(pod)
}
