extension SchemaText {
    /// Pods and what workloads embed of them.
    static let pod = """
        Pod apiVersion:string kind:string metadata:ObjectMeta spec:PodSpec! status:PodStatus
        PodTemplateSpec metadata:ObjectMeta spec:PodSpec
        PodSpec volumes:[]Volume/name initContainers:[]Container/name containers:[]Container/name!
          ephemeralContainers:[]EphemeralContainer/name restartPolicy:string=Always
          terminationGracePeriodSeconds:int=30 activeDeadlineSeconds:int dnsPolicy:string=ClusterFirst
          nodeSelector:{}string serviceAccountName:string serviceAccount:string
          automountServiceAccountToken:bool nodeName:string hostNetwork:bool hostPID:bool hostIPC:bool
          hostUsers:bool shareProcessNamespace:bool securityContext:PodSecurityContext={}
          imagePullSecrets:[]LocalObjectReference/name hostname:string subdomain:string setHostnameAsFQDN:bool
          affinity:any schedulerName:string=default-scheduler tolerations:[]Toleration
          hostAliases:[]HostAlias/ip priorityClassName:string priority:int dnsConfig:PodDNSConfig
          readinessGates:[]ReadinessGate runtimeClassName:string enableServiceLinks:bool
          preemptionPolicy:string overhead:{}quantity resources:ResourceRequirements resourceClaims:[]any
          topologySpreadConstraints:[]TopologySpreadConstraint/topologyKey os:PodOS schedulingGates:[]any
          hostnameOverride:string
        PodOS name:string!
        ReadinessGate conditionType:string!
        HostAlias ip:string! hostnames:[]string
        Toleration key:string operator:string value:string effect:string tolerationSeconds:int
        PodDNSConfig nameservers:[]string searches:[]string options:[]DNSOption
        DNSOption name:string value:string
        TopologySpreadConstraint maxSkew:int! topologyKey:string! whenUnsatisfiable:string!
          labelSelector:LabelSelector minDomains:int nodeAffinityPolicy:string nodeTaintsPolicy:string
          matchLabelKeys:[]string
        PodSecurityContext seLinuxOptions:any windowsOptions:any runAsUser:int runAsGroup:int
          runAsNonRoot:bool supplementalGroups:[]int supplementalGroupsPolicy:string fsGroup:int
          sysctls:[]NameValue fsGroupChangePolicy:string seccompProfile:SeccompProfile
          appArmorProfile:SeccompProfile seLinuxChangePolicy:string
        NameValue name:string! value:string!
        SeccompProfile type:string! localhostProfile:string
        Container name:string! image:string command:[]string args:[]string workingDir:string
          ports:[]ContainerPort/containerPort envFrom:[]EnvFromSource env:[]EnvVar/name
          resources:ResourceRequirements={} resizePolicy:[]any restartPolicy:string restartPolicyRules:[]any
          volumeMounts:[]VolumeMount/mountPath volumeDevices:[]VolumeDevice/devicePath
          livenessProbe:Probe readinessProbe:Probe startupProbe:Probe lifecycle:Lifecycle
          terminationMessagePath:string=/dev/termination-log terminationMessagePolicy:string=File
          imagePullPolicy:string securityContext:SecurityContext stdin:bool stdinOnce:bool tty:bool
        EphemeralContainer name:string! image:string command:[]string args:[]string workingDir:string
          ports:[]ContainerPort/containerPort envFrom:[]EnvFromSource env:[]EnvVar/name
          resources:ResourceRequirements volumeMounts:[]VolumeMount/mountPath targetContainerName:string
          livenessProbe:Probe readinessProbe:Probe startupProbe:Probe lifecycle:Lifecycle
          terminationMessagePath:string terminationMessagePolicy:string imagePullPolicy:string
          securityContext:SecurityContext stdin:bool stdinOnce:bool tty:bool
        ContainerPort name:string hostPort:int containerPort:int! protocol:string=TCP hostIP:string
        EnvFromSource prefix:string configMapRef:OptionalReference secretRef:OptionalReference
        OptionalReference name:string optional:bool
        EnvVar name:string! value:string valueFrom:EnvVarSource
        EnvVarSource fieldRef:ObjectFieldSelector resourceFieldRef:ResourceFieldSelector
          configMapKeyRef:KeySelector secretKeyRef:KeySelector fileKeyRef:any
        ObjectFieldSelector apiVersion:string=v1 fieldPath:string!
        ResourceFieldSelector containerName:string resource:string! divisor:quantity
        KeySelector name:string key:string! optional:bool
        ResourceRequirements limits:{}quantity requests:{}quantity claims:[]any
        VolumeMount name:string! readOnly:bool recursiveReadOnly:string mountPath:string! subPath:string
          mountPropagation:string subPathExpr:string
        VolumeDevice name:string! devicePath:string!
        Probe exec:ExecAction httpGet:HTTPGetAction tcpSocket:TCPSocketAction grpc:GRPCAction
          initialDelaySeconds:int timeoutSeconds:int=1 periodSeconds:int=10 successThreshold:int=1
          failureThreshold:int=3 terminationGracePeriodSeconds:int
        ExecAction command:[]string
        HTTPGetAction path:string=/ port:intstr! host:string scheme:string=HTTP httpHeaders:[]NameValue
        TCPSocketAction port:intstr! host:string
        GRPCAction port:int! service:string
        Lifecycle postStart:LifecycleHandler preStop:LifecycleHandler stopSignal:string
        LifecycleHandler exec:ExecAction httpGet:HTTPGetAction tcpSocket:TCPSocketAction sleep:SleepAction
        SleepAction seconds:int!
        SecurityContext capabilities:Capabilities privileged:bool seLinuxOptions:any windowsOptions:any
          runAsUser:int runAsGroup:int runAsNonRoot:bool readOnlyRootFilesystem:bool
          allowPrivilegeEscalation:bool procMount:string seccompProfile:SeccompProfile
          appArmorProfile:SeccompProfile
        Capabilities add:[]string drop:[]string
        Volume name:string! emptyDir:EmptyDirVolume hostPath:HostPathVolume configMap:ConfigMapVolume
          secret:SecretVolume projected:ProjectedVolume downwardAPI:DownwardAPIVolume
          persistentVolumeClaim:ClaimVolume ephemeral:any nfs:any csi:any iscsi:any gitRepo:any image:any
          awsElasticBlockStore:any gcePersistentDisk:any azureDisk:any azureFile:any cephfs:any cinder:any
          fc:any flexVolume:any flocker:any glusterfs:any photonPersistentDisk:any portworxVolume:any
          quobyte:any rbd:any scaleIO:any storageos:any vsphereVolume:any
        EmptyDirVolume medium:string sizeLimit:quantity
        HostPathVolume path:string! type:string
        ConfigMapVolume name:string items:[]KeyToPath defaultMode:int=420 optional:bool
        SecretVolume secretName:string items:[]KeyToPath defaultMode:int=420 optional:bool
        KeyToPath key:string! path:string! mode:int
        DownwardAPIVolume items:[]DownwardAPIFile defaultMode:int=420
        DownwardAPIFile path:string! fieldRef:ObjectFieldSelector resourceFieldRef:ResourceFieldSelector mode:int
        ClaimVolume claimName:string! readOnly:bool
        ProjectedVolume sources:[]VolumeProjection defaultMode:int=420
        VolumeProjection secret:ProjectedItems configMap:ProjectedItems downwardAPI:ProjectedDownward
          serviceAccountToken:TokenProjection clusterTrustBundle:any podCertificate:any
        ProjectedItems name:string items:[]KeyToPath optional:bool
        ProjectedDownward items:[]DownwardAPIFile
        TokenProjection audience:string expirationSeconds:int=3600 path:string!
        PodStatus observedGeneration:int phase:string conditions:[]PodCondition/type message:string
          reason:string nominatedNodeName:string hostIP:string hostIPs:[]PodIP/ip podIP:string
          podIPs:[]PodIP/ip startTime:time initContainerStatuses:[]ContainerStatus
          containerStatuses:[]ContainerStatus qosClass:string ephemeralContainerStatuses:[]ContainerStatus
          resize:string resourceClaimStatuses:[]any
        PodIP ip:string
        PodCondition type:string! observedGeneration:int status:string! lastProbeTime:time
          lastTransitionTime:time reason:string message:string
        ContainerStatus name:string! state:ContainerState lastState:ContainerState ready:bool
          restartCount:int image:string imageID:string containerID:string started:bool
          allocatedResources:{}quantity resources:any volumeMounts:[]any user:any
          allocatedResourcesStatus:[]any stopSignal:string
        ContainerState waiting:StateWaiting running:StateRunning terminated:StateTerminated
        StateWaiting reason:string message:string
        StateRunning startedAt:time
        StateTerminated exitCode:int signal:int reason:string message:string startedAt:time finishedAt:time
          containerID:string
        """

    /// Workloads of apps and batch.
    static let workloads = """
        Deployment apiVersion:string kind:string metadata:ObjectMeta spec:DeploymentSpec! status:DeploymentStatus
        DeploymentSpec replicas:int=1 selector:LabelSelector! template:PodTemplateSpec!
          strategy:DeploymentStrategy~={} minReadySeconds:int revisionHistoryLimit:int=10 paused:bool
          progressDeadlineSeconds:int=600
        DeploymentStrategy type:string=RollingUpdate rollingUpdate:RollingUpdate
        RollingUpdate maxUnavailable:intstr maxSurge:intstr partition:int
        DeploymentStatus observedGeneration:int replicas:int updatedReplicas:int readyReplicas:int
          availableReplicas:int unavailableReplicas:int terminatingReplicas:int
          conditions:[]DeploymentCondition/type collisionCount:int
        DeploymentCondition type:string! status:string! lastUpdateTime:time lastTransitionTime:time
          reason:string message:string
        ReplicaSet apiVersion:string kind:string metadata:ObjectMeta spec:ReplicaSetSpec! status:ReplicaSetStatus
        ReplicaSetSpec replicas:int=1 minReadySeconds:int selector:LabelSelector! template:PodTemplateSpec
        ReplicaSetStatus replicas:int fullyLabeledReplicas:int readyReplicas:int availableReplicas:int
          terminatingReplicas:int observedGeneration:int conditions:[]Condition/type
        ReplicationController apiVersion:string kind:string metadata:ObjectMeta
          spec:ReplicationControllerSpec status:ReplicaSetStatus
        ReplicationControllerSpec replicas:int=1 minReadySeconds:int selector:{}string template:PodTemplateSpec
        StatefulSet apiVersion:string kind:string metadata:ObjectMeta spec:StatefulSetSpec!
          status:StatefulSetStatus
        StatefulSetSpec replicas:int=1 selector:LabelSelector! template:PodTemplateSpec!
          volumeClaimTemplates:[]PersistentVolumeClaim serviceName:string
          podManagementPolicy:string=OrderedReady updateStrategy:UpdateStrategy={}
          revisionHistoryLimit:int=10 minReadySeconds:int persistentVolumeClaimRetentionPolicy:any ordinals:any
        UpdateStrategy type:string=RollingUpdate rollingUpdate:RollingUpdate
        StatefulSetStatus observedGeneration:int replicas:int readyReplicas:int currentReplicas:int
          updatedReplicas:int currentRevision:string updateRevision:string collisionCount:int
          conditions:[]Condition/type availableReplicas:int
        DaemonSet apiVersion:string kind:string metadata:ObjectMeta spec:DaemonSetSpec! status:DaemonSetStatus
        DaemonSetSpec selector:LabelSelector! template:PodTemplateSpec! updateStrategy:UpdateStrategy={}
          minReadySeconds:int revisionHistoryLimit:int=10
        DaemonSetStatus currentNumberScheduled:int numberMisscheduled:int desiredNumberScheduled:int
          numberReady:int observedGeneration:int updatedNumberScheduled:int numberAvailable:int
          numberUnavailable:int collisionCount:int conditions:[]Condition/type
        ControllerRevision apiVersion:string kind:string metadata:ObjectMeta data:any revision:int!
        Job apiVersion:string kind:string metadata:ObjectMeta spec:JobSpec! status:JobStatus
        JobSpec parallelism:int completions:int activeDeadlineSeconds:int podFailurePolicy:any
          successPolicy:any backoffLimit:int backoffLimitPerIndex:int maxFailedIndexes:int
          selector:LabelSelector manualSelector:bool template:PodTemplateSpec! ttlSecondsAfterFinished:int
          completionMode:string=NonIndexed suspend:bool=false podReplacementPolicy:string managedBy:string
        JobStatus conditions:[]JobCondition/type startTime:time completionTime:time active:int succeeded:int
          failed:int terminating:int completedIndexes:string failedIndexes:string
          uncountedTerminatedPods:any ready:int
        JobCondition type:string! status:string! lastProbeTime:time lastTransitionTime:time reason:string
          message:string
        CronJob apiVersion:string kind:string metadata:ObjectMeta spec:CronJobSpec! status:CronJobStatus
        CronJobSpec schedule:string! timeZone:string startingDeadlineSeconds:int
          concurrencyPolicy:string=Allow suspend:bool=false jobTemplate:JobTemplateSpec!
          successfulJobsHistoryLimit:int=3 failedJobsHistoryLimit:int=1
        JobTemplateSpec metadata:ObjectMeta spec:JobSpec
        CronJobStatus active:[]ObjectReference lastScheduleTime:time lastSuccessfulTime:time
        """
}
