{{/* "yes" where a pod with a tap passes the Pod Security level `baseline`. The webhook judges by the same rules
     (webhook/configuration/pod_security.h); a test compares the two. */}}
{{- define "sidetap.passesBaseline" -}}
{{- $own := .Values.sidecar.container -}}
{{- $faults := list -}}
{{- if ne .Values.sidecar.capabilities "runtimeDefault" -}}{{- $faults = append $faults "capabilities" -}}{{- end -}}
{{- with $own.securityContext -}}
{{- $capabilities := .capabilities | default dict -}}
{{- $harmless := list "AUDIT_WRITE" "CHOWN" "DAC_OVERRIDE" "FOWNER" "FSETID" "KILL" "MKNOD" "NET_BIND_SERVICE" "SETFCAP" "SETGID" "SETPCAP" "SETUID" "SYS_CHROOT" -}}
{{- range $capabilities.add | default list -}}
{{- if not (has . $harmless) -}}{{- $faults = append $faults . -}}{{- end -}}
{{- end -}}
{{- if .privileged -}}{{- $faults = append $faults "privileged" -}}{{- end -}}
{{- range list .seccompProfile .appArmorProfile -}}
{{- if eq (toString (. | default dict).type) "Unconfined" -}}{{- $faults = append $faults "Unconfined" -}}{{- end -}}
{{- end -}}
{{- $linux := .seLinuxOptions | default dict -}}
{{- if or $linux.user $linux.role (not (has ($linux.type | default "container_t") (list "container_t" "container_init_t" "container_kvm_t" "container_engine_t"))) -}}
{{- $faults = append $faults "seLinuxOptions" -}}
{{- end -}}
{{- end -}}
{{- $lifecycle := $own.lifecycle | default dict -}}
{{- range list $own.livenessProbe $own.readinessProbe $own.startupProbe $lifecycle.postStart $lifecycle.preStop -}}
{{- $handler := . | default dict -}}
{{- range list $handler.httpGet $handler.tcpSocket -}}
{{- if (. | default dict).host -}}{{- $faults = append $faults "host" -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $faults -}}yes{{- end -}}
{{- end -}}
