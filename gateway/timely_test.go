package gateway

import (
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// timely runs f, in which a client or an upstream must be quicker than limit. A machine can be too busy for that: a try that fails while the
// machine was late by a quarter of limit says nothing of the gateway.
func timely(t *testing.T, limit time.Duration, f func(t testing.TB)) {
	t.Helper()
	var late time.Duration
	anew(t, func(t testing.TB) {
		stop := watchLateness()
		defer func() { late = stop().within(limit) }()
		f(t)
	}, func() string {
		if late < limit/4 {
			return ""
		}
		return fmt.Sprintf("the machine was late by %v in %v", late, limit)
	})
}

// withFreePorts runs f, which needs ports that it has only found to be free: other programs may take them meanwhile.
func withFreePorts(t *testing.T, f func(t testing.TB)) {
	t.Helper()
	anew(t, f, func() string { return "another program may have taken a port" })
}

// anew runs f until nothing in it fails, but not more than five times, nor after two minutes. excuse says why a try that has failed says nothing; "" if it counts.
func anew(t *testing.T, f func(t testing.TB), excuse func() string) {
	t.Helper()
	for tries, end := 5, time.Now().Add(2*time.Minute); ; tries-- {
		try, ended := &trial{TB: t}, make(chan struct{})
		go func() {
			defer close(ended)
			f(try)
		}()
		<-ended
		faults := try.all()
		if len(faults) == 0 {
			return
		}
		why := excuse()
		report := t.Log
		if why == "" || tries == 1 || time.Now().After(end) {
			report = t.Error
		}
		for _, fault := range faults {
			report(fault)
		}
		if t.Failed() {
			return
		}
		t.Logf("tried again: %s", why)
	}
}

// trial is a test that may be tried again: it notes what fails.
type trial struct {
	testing.TB
	mu     sync.Mutex
	faults []string
}

func (t *trial) note(text string) {
	_, file, line, _ := runtime.Caller(2)
	t.mu.Lock()
	t.faults = append(t.faults, fmt.Sprintf("%s:%d: %s", filepath.Base(file), line, text))
	t.mu.Unlock()
}

func (t *trial) all() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.faults
}

func (t *trial) Failed() bool                      { return len(t.all()) > 0 }
func (t *trial) Error(args ...any)                 { t.note(fmt.Sprint(args...)) }
func (t *trial) Errorf(format string, args ...any) { t.note(fmt.Sprintf(format, args...)) }

func (t *trial) Fatal(args ...any) {
	t.note(fmt.Sprint(args...))
	runtime.Goexit()
}

func (t *trial) Fatalf(format string, args ...any) {
	t.note(fmt.Sprintf(format, args...))
	runtime.Goexit()
}

// lateness is when this process was woken later than it had asked for, and by how much.
type lateness []delay

type delay struct {
	at   time.Time
	late time.Duration
}

// watchLateness begins to look; what it returns ends that.
func watchLateness() (stop func() lateness) {
	const pause = 5 * time.Millisecond
	over, seen := make(chan struct{}), make(chan lateness)
	go func() {
		var all lateness
		for {
			begun := time.Now()
			time.Sleep(pause)
			now := time.Now()
			if late := now.Sub(begun) - pause; late > 2*time.Millisecond { // less is usual
				all = append(all, delay{now, late})
			}
			select {
			case <-over:
				seen <- all
				return
			default:
			}
		}
	}()
	return func() lateness {
		close(over)
		return <-seen
	}
}

// within is the most that delays sum up to in any time of that length.
func (l lateness) within(length time.Duration) (most time.Duration) {
	sum, first := time.Duration(0), 0
	for _, d := range l {
		for sum += d.late; d.at.Sub(l[first].at) > length; first++ {
			sum -= l[first].late
		}
		most = max(most, sum)
	}
	return most
}

func TestLateness(t *testing.T) {
	now := time.Now()
	l := lateness{{now, 1}, {now.Add(2), 2}, {now.Add(10), 4}, {now.Add(12), 8}, {now.Add(30), 3}}
	if got := l.within(10); got != 14 {
		t.Errorf("late by %d, want 14", got)
	}
}
